"""The checks of a job's ends and attempts can fail: each is found as that promise and no other."""

from dataclasses import replace

import pytest

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import fine, judge, only
from tests.chaos.fabricated import SECOND_CHILD, START, Fabricated
from tests.chaos.ledger import Event
from tests.chaos.record import Abort, Accepted, Death


def test_a_good_run_breaks_nothing(run: Fabricated) -> None:
    figures = fine(run).figures
    assert (figures.accepted, figures.finished, figures.attempts, figures.operations) == (3, 3, 3, 3)


# --- an accepted job ends ---------------------------------------------------------------------------------------------


def test_a_job_without_a_row_is_lost(run: Fabricated) -> None:
    run.record.accepted.append(Accepted(job=99, kind="short", by="http", at=START + 3))
    assert "job 99 was accepted and has no row" in only(Promise.ENDS, run)
    assert judge(run).figures.lost == 1


def test_a_job_that_still_waits_at_the_end_is_lost(run: Fabricated) -> None:
    run.accept(4, at=290)
    assert "still SCHEDULED" in only(Promise.ENDS, run)


def test_a_row_whose_answer_was_cut_off_counts_as_accepted(run: Fabricated) -> None:
    run.accept(4, at=290)
    run.record.accepted.pop()
    assert "job 4" in only(Promise.ENDS, run)


# --- a body starts once per attempt -----------------------------------------------------------------------------------


def test_a_body_that_begins_twice_in_one_run_is_found(run: Fabricated) -> None:
    run.line(Event.BEGIN, 1, "token-1", 1.4, pid=SECOND_CHILD)
    assert "began 2 times, 1 allowed" in only(Promise.ONCE, run)
    assert judge(run).figures.run_twice == 1


def test_a_second_attempt_of_a_kind_that_has_none_is_found(run: Fabricated) -> None:
    run.accept(4, at=10)
    for attempt, token in ((1, "a"), (2, "b")):
        run.claim(4, token, at=10 * attempt + 1)
        run.line(Event.BEGIN, 4, token, 10 * attempt + 2, attempt=attempt)
        run.line(Event.END, 4, token, 10 * attempt + 3, attempt=attempt, how="returned")
        after = "SCHEDULED" if attempt == 1 else "FINISHED"
        run.leave(4, token, after, at=10 * attempt + 4, retry=attempt == 1)
    assert "began 2 times, 1 allowed" in only(Promise.ONCE, run)


def test_a_retry_is_allowed_to_a_kind_that_retries(run: Fabricated) -> None:
    run.two_attempts("retried", retry=True)
    fine(run)


def test_a_retry_that_runs_twice_as_one_attempt_is_found(run: Fabricated) -> None:
    run.two_attempts("retried", retry=True, second_attempt=1)
    assert "attempts {1: 2}" in only(Promise.ONCE, run)


def test_a_body_without_a_claim_is_found(run: Fabricated) -> None:
    run.accept(4, at=10)
    run.claim(4, "claimed", at=11)
    run.line(Event.BEGIN, 4, "other", 12)
    run.line(Event.END, 4, "other", 13, how="returned")
    run.leave(4, "claimed", "EXCEPTION", at=14, exception_type="WorkerLost")
    run.record.deaths.append(Death(pid=102, at=START + 11.5))
    assert "without a claim: ['other']" in only(Promise.ONCE, run)


def test_a_body_that_begins_after_its_run_was_taken_from_it_is_found(run: Fabricated) -> None:
    run.cut_off("host1", "database", 10, 52)
    run.accept(4, at=10)
    run.claim(4, "a", at=11)
    run.leave(4, "a", "EXCEPTION", at=45, exception_type="WorkerLost")
    run.line(Event.BEGIN, 4, "a", 52)
    assert "a body began after its run ended: ['a']" in only(Promise.ONCE, run)


def test_the_body_of_another_task_is_found(run: Fabricated) -> None:
    run.record.lines = [replace(line, kind="fan") if line.job == 1 else line for line in run.record.lines]
    assert only(Promise.BODY, run) == "job 1 (short): the body of fan began"


# --- one end, true causes, aborts -------------------------------------------------------------------------------------


def test_a_terminal_state_that_is_left_is_found(run: Fabricated) -> None:
    run.killed(rescued_at=115)
    run.change(4, 120, "EXCEPTION", "FINISHED")
    assert "left EXCEPTION for FINISHED" in only(Promise.ONE_END, run)


def test_a_finish_by_another_run_than_the_holder_is_found(run: Fabricated) -> None:
    run.record.deaths.append(Death(pid=102, at=START + 13.5))
    run.accept(4, "rerun", at=10)
    run.claim(4, "a", at=11)
    run.line(Event.BEGIN, 4, "a", 12, pid=102)
    run.leave(4, "a", "SCHEDULED", at=14)
    run.claim(4, "b", at=21)
    run.line(Event.BEGIN, 4, "b", 22, attempt=2)
    run.leave(4, "b", "FINISHED", at=23)  # by the first run's process: the second's body still runs
    run.line(Event.END, 4, "b", 25, attempt=2, how="returned")
    assert "returned at +2.000 s" in only(Promise.ONE_END, run)


def test_a_finish_of_a_waiting_job_is_found(run: Fabricated) -> None:
    run.accept(4, at=10)
    run.change(4, 11, "SCHEDULED", "FINISHED")
    assert "SCHEDULED → FINISHED" in only(Promise.ONE_END, run)


def test_an_end_that_nothing_explains_is_found(run: Fabricated) -> None:
    run.accept(4, at=10)
    run.claim(4, "a", at=11)
    run.line(Event.BEGIN, 4, "a", 12)
    run.line(Event.END, 4, "a", 13, how="returned")
    run.leave(4, "a", "EXCEPTION", at=14, exception_type="OperationalError")
    assert "ended as OperationalError" in only(Promise.CAUSE, run)


@pytest.mark.parametrize("status", [0, 200, 503])
def test_an_abort_explains_an_end_also_where_its_answer_was_lost(run: Fabricated, status: int) -> None:
    run.accept(4, at=10)
    run.change(4, 11, "SCHEDULED", "EXCEPTION", exception_type="JobAborted")
    assert "ended as JobAborted" in only(Promise.CAUSE, run)
    run.record.aborts.append(Abort(job=4, at=START + 12, status=400))  # had ended already
    assert "ended as JobAborted" in only(Promise.CAUSE, run)
    run.record.aborts.append(Abort(job=4, at=START + 12, status=status))
    fine(run)


def test_a_failure_of_the_bodys_own_is_fine(run: Fabricated) -> None:
    run.accept(4, "failing", at=10)
    run.claim(4, "a", at=11)
    run.line(Event.BEGIN, 4, "a", 12)
    run.line(Event.END, 4, "a", 13, how="ValueError")
    run.leave(4, "a", "EXCEPTION", at=14, exception_type="ValueError")
    assert fine(run).figures.exceptions == {"ValueError": 1}


def test_an_aborted_job_that_went_on_and_finished_is_found(run: Fabricated) -> None:
    token = run.whole_job(4, at=10, seconds=5)
    run.record.aborts.append(Abort(job=4, at=START + 11, status=200))
    run.operation(4, token, "device-2", 13, 14, thread=2)
    assert "1 operations began after it, and it is FINISHED" in only(Promise.ABORTS, run)


def test_an_aborted_job_that_waits_again_is_found(run: Fabricated) -> None:
    run.two_attempts("retried", retry=True)
    run.record.aborts.append(Abort(job=4, at=START + 12.5, status=200))
    assert "RUNNING → SCHEDULED after it" in only(Promise.ABORTS, run)
