"""Only two rooms may know which database it is, and contain SQL: ``cnaasjobs.db`` and ``jobs.sql``."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("cnaasjobs/db/", "jobs/sql/")
OUTSIDE = [
    path
    for app in ("cnaasjobs", "jobs", "locks", "devices")
    for path in sorted(ROOT.glob(f"{app}/**/*.py"))
    if "migrations" not in path.parts and not str(path.relative_to(ROOT)).startswith(ROOMS)
]
TAKES_SQL = {"cursor", "chunked_cursor", "raw", "extra", "RawSQL"}
SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s.+\sSET|DELETE\s+FROM|CREATE\s+TABLE|pg_\w+\()"
    r"|^\s*(LISTEN|NOTIFY|SET|TRUNCATE|VACUUM)\s",
    re.DOTALL,
)


def broken(tree: ast.AST) -> Iterator[str]:
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "vendor":
            yield f"{node.lineno}: .vendor"
        if isinstance(node, ast.Attribute) and node.attr == "features" and "connection" in ast.unparse(node.value):
            yield f"{node.lineno}: connection.features"
        if isinstance(node, ast.FunctionDef) and node.name in {"as_sqlite", "as_postgresql"}:
            yield f"{node.lineno}: def {node.name}"
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in TAKES_SQL:
            yield f"{node.lineno}: {ast.unparse(node.func)}("
        if isinstance(node, ast.ImportFrom | ast.Import) and any(alias.name in TAKES_SQL for alias in node.names):
            yield f"{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.JoinedStr) and SQL.search(_text(node)):
            yield f"{node.lineno}: {_text(node)[:60]!r}"
        text = node.value if isinstance(node, ast.Constant) and id(node) not in docstrings else None
        if isinstance(text, str) and SQL.search(text):
            yield f"{text[:60]!r}"


def _text(node: ast.JoinedStr) -> str:
    """An f-string with a word for each of its places."""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "place" for part in node.values)


def test_no_statement_and_no_question_which_database_outside_the_two_rooms() -> None:
    found = {str(path.relative_to(ROOT)): list(broken(ast.parse(path.read_text()))) for path in OUTSIDE}
    assert len(found) > 100
    assert not {path: lines for path, lines in found.items() if lines}


@pytest.mark.parametrize(
    "source",
    [
        'if connection.vendor == "postgresql": pass',
        "skip = connections[alias].features.has_select_for_update_skip_locked",
        "with connection.cursor() as cursor: pass",
        "with connections[alias].chunked_cursor() as cursor: pass",
        "Job.objects.raw(text)",
        "jobs.annotate(now=RawSQL(text, []))",
        "from django.db.models.expressions import RawSQL",
        "def as_sqlite(self, compiler, connection): pass",
        'text = f"UPDATE {table} SET status = %s"',
        'text = "SELECT id, status" " FROM jobs_job"',
        'text = f"DELETE FROM {table} WHERE id IN ({ids})"',
        'text = "SET statement_timeout = 5"',
        'text = "SELECT pg_sleep(1)"',
    ],
)
def test_each_of_them_would_be_found(source: str) -> None:
    assert list(broken(ast.parse(source)))
