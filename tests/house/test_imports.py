"""No room and no file imports in a circle: imports for the type checker, late ones and those by a string count too."""

import grimp
import pytest

from tests.house.named import PACKAGES, SETTINGS, with_strings


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """Of every module of the product."""
    return with_strings(grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False))


def test_names_in_strings_are_found(imports: grimp.ImportGraph) -> None:
    assert "jobs.worker.window" in imports.find_modules_directly_imported_by("jobs.worker")
    assert "jobs.beat.scheduler" in imports.find_modules_directly_imported_by(SETTINGS)


def test_imports_run_in_one_direction(imports: grimp.ImportGraph) -> None:
    packages = [module for module in imports.modules if imports.find_children(module)]
    assert {"jobs", "jobs.worker", "jobs.body", "devices.sync"} <= set(packages)
    circles = {package: found for package in packages if (found := imports.nominate_cycle_breakers(package))}
    assert not circles, f"imports that close a circle: {circles}"
