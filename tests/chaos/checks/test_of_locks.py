"""The checks of locks can fail."""

from dataclasses import replace

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import fine, judge, only
from tests.chaos.fabricated import CHILD, SECOND_CHILD, START, WORKER, Fabricated
from tests.chaos.ledger import Event
from tests.chaos.record import Pause

# --- never two holders of one lock ------------------------------------------------------------------------------------


def _taken_over(run: Fabricated) -> None:
    """Job 4 is taken for lost at 60 s while its worker is frozen; job 5 holds the lock from 61 s on."""
    run.accept(4, "fan", at=20, lock="north")
    run.claim(4, "old", at=21, fence=3)
    run.line(Event.BEGIN, 4, "old", 22)
    run.operation(4, "old", "device-1", 23, 24)
    run.record.pauses += [Pause(pid=pid, since=START + 25, until=START + 70) for pid in (WORKER, CHILD)]
    run.leave(4, "old", "EXCEPTION", at=60, exception_type="WorkerLost")
    run.whole_job(5, "fan", at=61, seconds=20, lock="north", fence=4, pid=SECOND_CHILD, worker="w2@host")


def test_the_operation_in_hand_may_end(run: Fabricated) -> None:
    _taken_over(run)
    run.operation(4, "old", "device-2", 24.9, 71)
    run.line(Event.CHECK, 4, "old", 71.1, device="device-3", operation="configure")  # refused
    run.line(Event.END, 4, "old", 71.2, how="LockLost")
    assert fine(run).figures.ended_after == 1


def test_an_operation_started_after_the_token_was_gone_is_an_overlap(run: Fabricated) -> None:
    _taken_over(run)
    run.operation(4, "old", "device-2", 71, 72)
    assert "1 operations started after its token was gone, up to 11.00 s" in only(Promise.HOLDERS, run)
    assert judge(run).figures.overlapping == 1


def test_a_job_without_a_lock_may_not_go_on_either_when_its_run_was_ended(run: Fabricated) -> None:
    run.accept(4, at=20)
    run.claim(4, "old", at=21)
    run.line(Event.BEGIN, 4, "old", 22)
    run.record.pauses += [Pause(pid=pid, since=START + 25, until=START + 70) for pid in (WORKER, CHILD)]
    run.leave(4, "old", "EXCEPTION", at=60, exception_type="WorkerLost")
    run.operation(4, "old", "device-1", 71, 72)
    assert "started after its token was gone" in only(Promise.HOLDERS, run)


def test_a_lock_cleared_under_a_running_job_ends_its_token(run: Fabricated) -> None:
    token = run.whole_job(4, "fan", at=20, seconds=10, lock="north", fence=3)
    run.record.tenures[-1] = replace(run.record.tenures[-1], until=START + 25)
    run.operation(4, token, "device-2", 27, 28, thread=2)
    assert "started after its token was gone" in only(Promise.HOLDERS, run)


def test_two_operations_of_one_thread_after_the_token_was_gone_are_one_too_many(run: Fabricated) -> None:
    _taken_over(run)
    run.operation(4, "old", "device-2", 24.8, 60.03)
    run.operation(4, "old", "device-3", 60.04, 72)  # too soon to be told from one before, but not the first
    assert "more than one operation of one thread" in only(Promise.HOLDERS, run)


def test_an_operation_on_an_answer_from_before_its_token_was_gone_is_found(run: Fabricated) -> None:
    _taken_over(run)
    for event, at in ((Event.CHECK, 30), (Event.GO, 70), (Event.DONE, 71)):
        run.line(event, 4, "old", at, device="device-2", operation="configure")
    assert "it was told that it may before its token was gone" in only(Promise.HOLDERS, run)


def test_the_ledger_alone_shows_an_older_holder_at_work(run: Fabricated) -> None:
    _taken_over(run)
    run.operation(4, "old", "device-2", 71, 72)
    run.record.tenures = []  # as if the database had known nothing
    run.record.changes = [change for change in run.record.changes if change.job != 4 or change.after != "EXCEPTION"]
    assert "while token 4 was at work" in "; ".join(each.what for each in judge(run).broken)


def test_one_token_given_twice_is_found(run: Fabricated) -> None:
    run.whole_job(4, "fan", at=20, lock="north", fence=2)
    assert "token 2 of lock north was given twice" in only(Promise.HOLDERS, run)


# --- first come, first served -----------------------------------------------------------------------------------------


def _in_line(run: Fabricated, *, first_since: float, first_due: float | None = None) -> None:
    """Job 4 takes the lock at 120 s; job 5 was in line before it, and gets it after."""
    run.accept(5, "fan", at=first_since, due=first_due, lock="south")
    run.accept(4, "fan", at=117, due=119, lock="south")
    for job, fence, at in ((4, 1, 120), (5, 2, 130)):
        token = f"token-{job}"
        run.claim(job, token, at=at, fence=fence)
        run.line(Event.BEGIN, job, token, at + 1)
        run.line(Event.END, job, token, at + 2, how="returned")
        run.leave(job, token, "FINISHED", at=at + 3)


def test_a_job_that_takes_a_lock_before_one_that_stood_in_line_longer_is_found(run: Fabricated) -> None:
    _in_line(run, first_since=110)
    assert only(Promise.TURN, run) == "job 4 (fan) took lock south before [5]"


def test_a_job_that_falls_due_later_is_behind_in_line_whenever_it_was_scheduled(run: Fabricated) -> None:
    _in_line(run, first_since=60, first_due=119.5)
    fine(run)


def test_a_job_that_came_at_the_last_moment_may_not_have_been_seen(run: Fabricated) -> None:
    _in_line(run, first_since=118.5)
    fine(run)


def test_another_locks_line_is_another_line(run: Fabricated) -> None:
    _in_line(run, first_since=110)
    run.record.rows = [replace(row, lock="west") if row.job == 5 else row for row in run.record.rows]
    assert Promise.TURN not in judge(run).promises()
