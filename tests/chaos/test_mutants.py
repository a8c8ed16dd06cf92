"""Each mutant fits the source and is in the docs; ``make chaos MUTANT=…`` says whether the checker finds it."""

import shutil
from pathlib import Path

import pytest

from tests.chaos import mutants
from tests.chaos.plan import FAULTS
from tests.services.processes import ROOT


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_mutant_fits_the_source(name: str, tmp_path: Path) -> None:
    for package in ("cnaasjobs", "jobs", "locks"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    mutant = mutants.apply(name, tmp_path)
    assert set(mutant.faults) <= set(FAULTS)
    for edit in mutant.edits:
        compile((tmp_path / edit.file).read_text(), edit.file, "exec")


def test_the_docs_list_each_mutant_and_what_it_is_found_as() -> None:
    page = (ROOT / "docs" / "reliability-tests.md").read_text()
    rows = page.partition("| mutant |")[2].partition("\n\n")[0].splitlines()[2:]
    assert rows == [f"| `{name}` | {mutant.says} | {mutant.promise} |" for name, mutant in mutants.MUTANTS.items()]


def test_the_docs_list_each_kind_of_fault() -> None:
    page = (ROOT / "docs" / "reliability-tests.md").read_text()
    rows = page.partition("| kind of fault |")[2].partition("\n\n")[0].splitlines()[2:]
    assert sorted(kind for row in rows for kind in row.split(" | ")[0].strip("| ").split(", ")) == sorted(FAULTS)


def test_a_mutant_that_changes_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "jobs" / "upkeep").mkdir(parents=True)
    (tmp_path / "jobs" / "upkeep" / "runner.py").write_text("rescue as it never was")
    with pytest.raises(ValueError, match="does not fit"):
        mutants.apply("rescue", tmp_path)
