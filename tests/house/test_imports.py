"""No room and no file imports in a circle: imports for the type checker, late ones and those by a string count too."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cnaasjobs", "jobs", "locks", "devices")
SETTINGS = "cnaasjobs.settings"  # they name their own users, and every process names them: not counted as an import
NAME = re.compile(r"[a-z_]+(?:\.\w+)+(?::\w+)?")


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """Of every module of the product."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False)
    for importer, imported in named_by_string(graph):
        graph.add_import(importer=importer, imported=imported)
    return graph


def named_by_string(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    """Who names a module, or something in one, as text for Celery or Django to import it."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            named = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            found = _module_of(named, graph.modules) if NAME.fullmatch(named) else None
            if found not in (None, module, SETTINGS):
                yield module, str(found)


def _module_of(name: str, modules: set[str]) -> str | None:
    """``jobs.worker.window`` of "jobs.worker.window:WindowStep"; None for a name that only looks like one."""
    if name in modules and "." in name:
        return name
    module, _, attribute = name.replace(":", ".").rpartition(".")
    return module if module in modules and hasattr(import_module(module), attribute) else None


def test_names_in_strings_are_found(imports: grimp.ImportGraph) -> None:
    assert "jobs.worker.window" in imports.find_modules_directly_imported_by("jobs.worker")
    assert "jobs.beat.scheduler" in imports.find_modules_directly_imported_by(SETTINGS)


def test_imports_run_in_one_direction(imports: grimp.ImportGraph) -> None:
    packages = [module for module in imports.modules if imports.find_children(module)]
    assert {"jobs", "jobs.worker", "jobs.body", "devices.sync"} <= set(packages)
    circles = {package: found for package in packages if (found := imports.nominate_cycle_breakers(package))}
    assert not circles, f"imports that close a circle: {circles}"
