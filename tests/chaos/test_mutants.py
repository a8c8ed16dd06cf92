"""Each mutant still fits the source; whether the checker finds it is for ``make chaos MUTANT=…`` to say."""

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


def test_a_mutant_that_changes_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "jobs" / "upkeep").mkdir(parents=True)
    (tmp_path / "jobs" / "upkeep" / "runner.py").write_text("rescue as it never was")
    with pytest.raises(ValueError, match="does not fit"):
        mutants.apply("rescue", tmp_path)
