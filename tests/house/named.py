"""Imports that no import statement shows: who names a module, or something in one, as text for Celery or Django."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cnaasjobs", "jobs", "locks", "devices", "console")
SETTINGS = "cnaasjobs.settings"  # they name their own users, and every process names them: not counted as an import
NAME = re.compile(r"[a-z_]+(?:\.\w+)+(?::\w+)?")


def named_by_string(modules: set[str]) -> Iterator[tuple[str, str]]:
    """Importer and imported. Reads the source alone: nothing is imported."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            named = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            found = _module_of(named, modules) if NAME.fullmatch(named) else None
            if found not in (None, module, SETTINGS):
                yield module, str(found)


def with_strings(graph: grimp.ImportGraph) -> grimp.ImportGraph:
    for importer, imported in named_by_string(graph.modules):
        graph.add_import(importer=importer, imported=imported)
    return graph


def _module_of(name: str, modules: set[str]) -> str | None:
    """``jobs.worker.window`` of "jobs.worker.window:WindowStep"; None for a name that only looks like one."""
    if name in modules and "." in name:
        return name
    module, _, attribute = name.replace(":", ".").rpartition(".")
    is_ours = module in modules and module.partition(".")[0] in PACKAGES
    return module if is_ours and attribute in _top_level(module) else None


@cache
def _top_level(module: str) -> frozenset[str]:
    """What a module defines or imports at its top."""
    path = ROOT.joinpath(*module.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
    return frozenset(names)
