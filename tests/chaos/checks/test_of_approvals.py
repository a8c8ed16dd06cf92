"""The checks of jobs that wait for a second person can fail."""

import pytest

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import fine, judge, only
from tests.chaos.fabricated import START, Fabricated
from tests.chaos.ledger import Event
from tests.chaos.record import Decision


def _waits(run: Fabricated, *, unapproved: bool = True) -> None:
    """Job 4 waits from 10 s on, much longer than any other may."""
    run.accept(4, "guarded", at=10, lock="gate", unapproved=unapproved)


def _runs(run: Fabricated, *, at: float) -> None:
    run.claim(4, "a", at=at, fence=1)
    run.line(Event.BEGIN, 4, "a", at + 0.1)
    run.line(Event.END, 4, "a", at + 0.2, how="returned")
    run.leave(4, "a", "FINISHED", at=at + 0.3)


def _decided(run: Fabricated, action: str, status: int = 200, *, at: float = 150) -> None:
    run.record.decisions.append(Decision(job=4, action=action, at=START + at, status=status))


def test_one_that_is_approved_starts_then_and_not_before(run: Fabricated) -> None:
    _waits(run)
    run.change(4, 150, "SCHEDULED", "SCHEDULED", due=START + 150)
    _decided(run, "APPROVE", status=0)
    _decided(run, "APPROVE", status=400)
    _runs(run, at=151)
    figures = fine(run).figures
    assert figures.decisions == {0: 1, 400: 1}
    assert figures.longest_wait == pytest.approx(1)


def test_others_of_its_lock_pass_it_meanwhile(run: Fabricated) -> None:
    _waits(run)
    run.whole_job(5, "fan", at=20, lock="gate", fence=1)
    run.record.until = START + 100
    assert judge(run).promises() == {Promise.ENDS}


def test_once_approved_it_does_not_wait_longer_than_others(run: Fabricated) -> None:
    _waits(run)
    run.change(4, 50, "SCHEDULED", "SCHEDULED", due=START + 50)
    _runs(run, at=150)
    assert "was due for 100.0 s while a slot was idle" in only(Promise.STARTS, run)


def test_one_that_starts_unapproved_is_found(run: Fabricated) -> None:
    _waits(run)
    _runs(run, at=150)
    assert only(Promise.APPROVED, run) == "job 4 (guarded): it started before anybody had approved it"


def test_one_that_was_not_put_aside_is_found(run: Fabricated) -> None:
    _waits(run, unapproved=False)
    _runs(run, at=10.5)
    assert "it was not put aside" in only(Promise.APPROVED, run)


@pytest.mark.parametrize("first", ["APPROVE", "REJECT"])
def test_two_decisions_that_count_are_found(run: Fabricated, first: str) -> None:
    _waits(run)
    run.change(4, 150, "SCHEDULED", "EXCEPTION", exception_type="JobRejected")
    _decided(run, first)
    if first == "REJECT":
        fine(run)
        _decided(run, "REJECT")
        assert "2 decisions were answered 200" in only(Promise.APPROVED, run)
    else:
        assert "APPROVE was answered 200, and it ended as JobRejected" in only(Promise.APPROVED, run)
