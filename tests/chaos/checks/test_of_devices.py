"""The checks of devices that several processes go through can fail."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import fine, judge, only
from tests.chaos.fabricated import CHILD, SECOND_CHILD, SECOND_WORKER, START, Fabricated
from tests.chaos.ledger import Event
from tests.chaos.record import Death, DeviceRow, Membership, Pause


def _row(run: Fabricated, host: str, state: str = "DONE", *, reason: str | None = None) -> None:
    run.record.devices.append(
        DeviceRow(job=4, host=host, state=state, failed=reason is not None, reason=reason, tries=0, participant=None)
    )


def _touch(run: Fabricated, token: str, host: str, at: float, *, pid: int = CHILD, **more: Any) -> None:
    for operation, since, until in (("load", at, at + 1), ("commit", at + 1.1, at + 2)):
        fields = {"device": host, "operation": operation, "pid": pid, **more}
        run.line(Event.CHECK, 4, token, since, **fields)
        run.line(Event.GO, 4, token, since, **fields)
        run.line(Event.DONE, 4, token, until, **fields)


def _member(run: Fabricated, token: str, since: float, until: float | None) -> None:
    free = None if until is None else START + until
    run.record.memberships.append(Membership(job=4, token=token, worker="w@host", since=START + since, until=free))


@pytest.fixture(autouse=True)
def _two_participants(run: Fabricated) -> None:
    """The first has r1 and r2, the second, which leaves after it, r3."""
    run.accept(4, "fan", at=10, lock="fleet")
    run.claim(4, "first", at=11, fence=1)
    run.line(Event.BEGIN, 4, "first", 11.1)
    run.line(Event.JOIN, 4, "second", 12, pid=SECOND_CHILD)
    _member(run, "first", 11.2, 20)
    _member(run, "second", 11.9, 22)
    _touch(run, "first", "r1", 12)
    _touch(run, "first", "r2", 15)
    _touch(run, "second", "r3", 14, pid=SECOND_CHILD)
    run.line(Event.END, 4, "first", 20, how="Left")
    run.line(Event.END, 4, "second", 21.9, pid=SECOND_CHILD, how="returned")
    run.change(4, 20, "RUNNING", "RUNNING", old_token="first", new_token="second", worker="w2@host")
    run.leave(4, "second", "FINISHED", at=22)
    for host in ("r1", "r2", "r3"):
        _row(run, host)


def test_two_participants_share_the_devices(run: Fabricated) -> None:
    figures = fine(run).figures
    assert (figures.devices, figures.participants, figures.attempts) == (3, 2, 4)


def test_a_device_that_was_changed_twice_is_found(run: Fabricated) -> None:
    _touch(run, "second", "r1", 17, pid=SECOND_CHILD)
    assert only(Promise.DEVICES, run) == "job 4 (fan): r1 was changed 2 times"


def test_a_device_that_two_have_at_once_is_found(run: Fabricated) -> None:
    run.operation(4, "second", "r2", 15.5, 16, pid=SECOND_CHILD, thread=2)
    assert "r2 was touched by two participants at once" in only(Promise.DEVICES, run)


def test_a_device_of_a_participant_that_was_judged_lost_may_be_begun_again_while_it_ends(run: Fabricated) -> None:
    """Frozen from before the loss to its last answer, and its device in another's hands meanwhile."""
    run.record.lines = [line for line in run.record.lines if not (line.token == "second" and line.device == "r3")]
    run.record.devices = [row for row in run.record.devices if row.host != "r3"]
    _row(run, "r3")
    run.operation(4, "first", "r3", 12.0, 19.5, thread=2)
    run.operation(4, "second", "r3", 16.5, 17.5, pid=SECOND_CHILD, thread=2)
    _touch(run, "second", "r3", 18, pid=SECOND_CHILD)
    assert "r3 was touched by two participants at once" in only(Promise.DEVICES, run)
    run.record.memberships = [
        replace(each, until=START + 16) if each.token == "first" else each for each in run.record.memberships
    ]
    assert Promise.DEVICES not in judge(run).promises()


def test_a_device_of_a_participant_that_died_may_be_begun_again(run: Fabricated) -> None:
    run.record.lines = [line for line in run.record.lines if line.wall < START + 13.05 or line.device != "r1"]
    run.record.lines = [line for line in run.record.lines if line.token != "first" or line.wall < START + 13.05]
    run.record.deaths.append(Death(pid=CHILD, at=START + 13.06))
    run.record.devices = [row for row in run.record.devices if row.host != "r2"]
    _touch(run, "second", "r1", 17, pid=SECOND_CHILD)
    fine(run)


@pytest.mark.parametrize(
    ("host", "state", "reason", "said"),
    [
        ("r4", "DONE", None, "r4 is reported as over, and is not"),
        ("r1", "DONE", "it does not answer", "r1 failed (it does not answer), and was changed"),
        ("r1", "WAITING", None, "r1 counts as never begun, and was changed"),
        ("r4", "TAKEN", None, "r4 is TAKEN, though its job has ended"),
    ],
)
def test_a_row_that_the_ledger_contradicts_is_found(
    run: Fabricated, host: str, state: str, reason: str | None, said: str
) -> None:
    run.record.devices = [row for row in run.record.devices if row.host != host]
    _row(run, host, state, reason=reason)
    assert said in only(Promise.DEVICES, run)


def test_a_row_that_says_that_nobody_knows_is_right(run: Fabricated) -> None:
    run.record.devices = [row for row in run.record.devices if row.host != "r1"]
    _row(run, "r1", reason="worker w1 was lost in commit: nobody knows")
    _row(run, "r9", reason="it does not answer")
    _row(run, "r10", "WAITING")
    fine(run)


def test_a_device_begun_by_one_who_is_no_participant_any_more_is_found(run: Fabricated) -> None:
    run.record.memberships = [replace(each, until=START + 13) for each in run.record.memberships]
    assert Promise.HOLDERS in judge(run).promises()


def test_a_dead_participant_that_stays_is_found(run: Fabricated) -> None:
    run.record.memberships = [
        replace(each, until=START + 90) if each.token == "second" else each for each in run.record.memberships
    ]
    run.record.deaths.append(Death(pid=SECOND_CHILD, at=START + 22.5))
    assert "still has a participant 67.5 s after its process was gone" in only(Promise.RESCUE, run)


def test_a_live_participant_with_a_device_in_hand_that_is_judged_lost_is_found(run: Fabricated) -> None:
    run.record.memberships = [
        replace(each, until=START + 15.6) if each.token == "second" else each for each in run.record.memberships
    ]
    assert "lost a participant that lived (w@host)" in only(Promise.RESCUE, run)


def test_a_job_whose_participants_are_all_gone_may_be_taken_for_lost(run: Fabricated) -> None:
    run.record.changes = [change for change in run.record.changes if change.job != 4 or change.at < START + 19]
    run.record.deaths += [Death(pid=pid, at=START + 18) for pid in (CHILD, SECOND_CHILD)]
    run.record.lines = [line for line in run.record.lines if line.event is not Event.END or line.job != 4]
    run.change(4, 20, "RUNNING", "RUNNING", old_token="first", new_token="nobody's", worker="w1@host")
    run.leave(4, "nobody's", "EXCEPTION", at=31, exception_type="WorkerLost")
    assert fine(run).figures.longest_rescue == pytest.approx(13)


def test_a_participant_that_had_been_silent_when_the_job_was_handed_to_it_may_be_taken_for_lost(
    run: Fabricated,
) -> None:
    run.record.changes = [change for change in run.record.changes if change.job != 4 or change.at < START + 21]
    run.record.pauses.append(Pause(pid=SECOND_WORKER, since=START + 16.5, until=START + 80))
    run.record.memberships = [replace(each, until=START + 41) for each in run.record.memberships]
    run.change(4, 40.9, "RUNNING", "RUNNING", old_token="second", new_token="first", worker="w1@host")
    run.change(4, 40.95, "RUNNING", "RUNNING", old_token="first", new_token="second", worker="w2@host")
    run.leave(4, "second", "EXCEPTION", at=41, exception_type="WorkerLost")
    assert Promise.RESCUE not in judge(run).promises()
