"""The checks of the run itself can fail."""

from dataclasses import replace

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import only
from tests.chaos.fabricated import START, Fabricated
from tests.chaos.record import Fault

# --- the run itself ---------------------------------------------------------------------------------------------------


def test_a_kind_of_fault_that_hit_nothing_proves_nothing(run: Fabricated) -> None:
    for kind, hits in (("broker purge", 2), ("broker purge", 0), ("worker killed", 0)):
        run.record.faults.append(Fault(kind=kind, at=START + 9, until=START + 10, target="", hits=hits))
    assert only(Promise.HITS, run) == "no fault of kind worker killed hit a RUNNING job or a held lock"


def test_a_clock_that_was_set_during_the_run_voids_it(run: Fabricated) -> None:
    run.record.lines[0] = replace(run.record.lines[0], mono=run.record.lines[0].mono - 3600)
    only(Promise.CLOCK, run)
