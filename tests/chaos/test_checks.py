"""The checker can fail: each broken promise, written into a good record, is found as that promise and no other."""

from dataclasses import replace

import pytest

from tests.chaos.checks import Promise, Thresholds, Verdict, check
from tests.chaos.fabricated import CHILD, SECOND_CHILD, START, WORKER, Fabricated
from tests.chaos.ledger import Event
from tests.chaos.record import Abort, Accepted, Death, Fault, Outage, Pause, Post, Probe

LIMITS = Thresholds()
GOOD = {"database": "ok", "broker": "ok", "worker": "ok", "beat": "ok"}


@pytest.fixture
def run() -> Fabricated:
    """Three jobs of three kinds, all well."""
    run = Fabricated()
    run.whole_job(1, at=1)
    run.whole_job(2, "fan", at=2, lock="north", fence=1)
    run.whole_job(3, "fan", at=5, lock="north", fence=2, pid=SECOND_CHILD, worker="w2@host")
    return run


def judge(run: Fabricated) -> Verdict:
    return check(run.record, LIMITS)


def only(promise: Promise, run: Fabricated) -> str:
    """The one promise that is broken; what was said of it."""
    verdict = judge(run)
    assert verdict.promises() == {promise}, verdict.broken
    return "; ".join(each.what for each in verdict.broken)


def fine(run: Fabricated) -> Verdict:
    verdict = judge(run)
    assert verdict.broken == []
    return verdict


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
    _two_attempts(run, "retried", retry=True)
    fine(run)


def test_a_retry_that_runs_twice_as_one_attempt_is_found(run: Fabricated) -> None:
    _two_attempts(run, "retried", retry=True, second_attempt=1)
    assert "attempts {1: 2}" in only(Promise.ONCE, run)


def test_a_body_without_a_claim_is_found(run: Fabricated) -> None:
    run.accept(4, at=10)
    run.claim(4, "claimed", at=11)
    run.line(Event.BEGIN, 4, "other", 12)
    run.line(Event.END, 4, "other", 13, how="returned")
    run.leave(4, "claimed", "EXCEPTION", at=14, exception_type="WorkerLost")
    run.record.deaths.append(Death(pid=102, at=START + 11.5))
    assert "without a claim: ['other']" in only(Promise.ONCE, run)


def test_the_body_of_another_task_is_found(run: Fabricated) -> None:
    run.record.lines = [replace(line, kind="fan") if line.job == 1 else line for line in run.record.lines]
    assert only(Promise.BODY, run) == "job 1 (short): the body of fan began"


def _two_attempts(run: Fabricated, kind: str, *, retry: bool, second_attempt: int = 2) -> None:
    run.accept(4, kind, at=10)
    run.claim(4, "a", at=11)
    run.line(Event.BEGIN, 4, "a", 12)
    if retry:
        run.line(Event.END, 4, "a", 13, how="Retry")
    run.leave(4, "a", "SCHEDULED", at=14, retry=retry)
    run.claim(4, "b", at=21)
    run.line(Event.BEGIN, 4, "b", 22, attempt=second_attempt, pid=102)
    run.line(Event.END, 4, "b", 23, attempt=second_attempt, pid=102, how="returned")
    run.leave(4, "b", "FINISHED", at=24)


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


def test_the_ledger_alone_shows_an_older_holder_at_work(run: Fabricated) -> None:
    _taken_over(run)
    run.operation(4, "old", "device-2", 71, 72)
    run.record.tenures = []  # as if the database had known nothing
    run.record.changes = [change for change in run.record.changes if change.job != 4 or change.after != "EXCEPTION"]
    assert "while token 4 was at work" in "; ".join(each.what for each in judge(run).broken)


def test_one_token_given_twice_is_found(run: Fabricated) -> None:
    run.whole_job(4, "fan", at=20, lock="north", fence=2)
    assert "token 2 of lock north was given twice" in only(Promise.HOLDERS, run)


# --- a due job starts -------------------------------------------------------------------------------------------------


def _waits(run: Fabricated, *, due: float | None = None, lock: str | None = None, fence: int | None = None) -> None:
    """Job 4 waits from 100 s to 170 s."""
    run.accept(4, at=100, due=due, lock=lock)
    run.claim(4, "a", at=170, fence=fence)
    run.line(Event.BEGIN, 4, "a", 170.1)
    run.line(Event.END, 4, "a", 170.2, how="returned")
    run.leave(4, "a", "FINISHED", at=170.3)


def test_a_job_that_was_due_while_slots_were_idle_is_stuck(run: Fabricated) -> None:
    _waits(run)
    assert "was due for 70.0 s while a slot was idle" in only(Promise.STARTS, run)
    assert judge(run).figures.stuck == 1


def test_a_job_that_is_not_due_yet_may_wait(run: Fabricated) -> None:
    _waits(run, due=165)
    assert fine(run).figures.longest_wait == pytest.approx(5)


def test_a_job_may_wait_for_its_lock(run: Fabricated) -> None:
    run.whole_job(5, "fan", at=100, seconds=60, lock="south", fence=1)
    _waits(run, lock="south", fence=2)
    fine(run)


def test_a_job_in_line_for_a_free_lock_is_stuck(run: Fabricated) -> None:
    _waits(run, lock="south", fence=1)
    assert "was due for 70.0 s" in only(Promise.STARTS, run)


def test_a_job_may_wait_while_every_slot_is_taken(run: Fabricated) -> None:
    for job, (pid, worker) in enumerate(
        [(CHILD, "w1@host"), (102, "w1@host"), (SECOND_CHILD, "w2@host"), (202, "w2@host")], start=10
    ):
        run.whole_job(job, at=99, seconds=60, pid=pid, worker=worker)
    _waits(run)
    assert fine(run).figures.longest_wait == pytest.approx(170 - 159.2, abs=0.01)


def test_the_slots_of_frozen_and_dead_workers_are_not_idle(run: Fabricated) -> None:
    run.record.pauses.append(Pause(pid=WORKER, since=START + 99, until=START + 169))
    run.record.processes[1] = replace(run.record.processes[1], until=START + 50)
    _waits(run)
    fine(run)


def test_a_start_before_its_time_is_found(run: Fabricated) -> None:
    _waits(run, due=170.5)
    assert only(Promise.TIME, run) == "job 4 (short) started 0.50 s before it was due"


# --- first come, first served -----------------------------------------------------------------------------------------


def _in_line(run: Fabricated, *, first_since: float, first_due: float | None = None) -> None:
    """Job 4 takes the lock at 120 s; job 5 stood in line before it, and has it after."""
    run.accept(5, "fan", at=first_since, due=first_due, lock="south")
    run.accept(4, "fan", at=117, due=119, lock="south")
    for job, fence, at in ((4, 1, 120), (5, 2, 130)):
        token = f"token-{job}"
        run.claim(job, token, at=at, fence=fence)
        run.line(Event.BEGIN, job, token, at + 1)
        run.line(Event.END, job, token, at + 2, how="returned")
        run.leave(job, token, "FINISHED", at=at + 3)


def test_who_takes_a_lock_before_one_that_stood_in_line_longer_is_found(run: Fabricated) -> None:
    _in_line(run, first_since=110)
    assert only(Promise.TURN, run) == "job 4 (fan) took lock south before [5]"


def test_who_falls_due_later_is_behind_in_line_whenever_it_was_scheduled(run: Fabricated) -> None:
    _in_line(run, first_since=60, first_due=119.5)
    fine(run)


def test_who_came_at_the_last_moment_may_not_have_been_seen(run: Fabricated) -> None:
    _in_line(run, first_since=118.5)
    fine(run)


def test_another_locks_line_is_another_line(run: Fabricated) -> None:
    _in_line(run, first_since=110)
    run.record.rows = [replace(row, lock="west") if row.job == 5 else row for row in run.record.rows]
    assert Promise.TURN not in judge(run).promises()


# --- rescue -----------------------------------------------------------------------------------------------------------


def _killed(run: Fabricated, *, rescued_at: float, kind: str = "short") -> None:
    run.accept(4, kind, at=100)
    run.claim(4, "a", at=101)
    run.line(Event.BEGIN, 4, "a", 102)
    run.record.deaths.append(Death(pid=CHILD, at=START + 110))
    run.leave(4, "a", "EXCEPTION", at=rescued_at, exception_type="WorkerLost")


def test_a_killed_job_is_rescued_in_time(run: Fabricated) -> None:
    _killed(run, rescued_at=115)
    figures = fine(run).figures
    assert figures.rescued == 1
    assert figures.longest_rescue == pytest.approx(5)
    assert figures.exceptions == {"WorkerLost": 1}


def test_a_rescue_that_comes_too_late_is_found(run: Fabricated) -> None:
    _killed(run, rescued_at=180)
    assert "RUNNING on no worker for 70.0 s" in only(Promise.RESCUE, run)


def test_a_job_whose_process_died_before_its_body_began_counts_too(run: Fabricated) -> None:
    run.accept(4, at=100)
    run.claim(4, "a", at=101)
    run.record.deaths.append(Death(pid=102, at=START + 101.5))
    run.leave(4, "a", "EXCEPTION", at=180, exception_type="WorkerLost")
    assert "RUNNING on no worker for 78.5 s" in only(Promise.RESCUE, run)


@pytest.mark.parametrize("after", ["EXCEPTION", "SCHEDULED"])
def test_a_live_workers_job_taken_for_lost_is_found(run: Fabricated, after: str) -> None:
    run.accept(4, "rerun", at=100)
    run.claim(4, "a", at=101)
    run.line(Event.BEGIN, 4, "a", 102)
    run.line(Event.END, 4, "a", 120, how="LockLost")
    run.leave(4, "a", after, at=110, exception_type="WorkerLost" if after == "EXCEPTION" else None)
    if after == "SCHEDULED":
        run.claim(4, "b", at=111, worker="w2@host")
        run.line(Event.BEGIN, 4, "b", 112, attempt=2, pid=SECOND_CHILD)
        run.line(Event.END, 4, "b", 113, attempt=2, pid=SECOND_CHILD, how="returned")
        run.leave(4, "b", "FINISHED", at=114)
    assert "taken for lost while its worker lived" in only(Promise.RESCUE, run)


def test_a_short_pause_of_a_worker_is_no_reason(run: Fabricated) -> None:
    run.record.pauses.append(Pause(pid=WORKER, since=START + 105, until=START + 109))
    _killed(run, rescued_at=112)
    run.record.deaths = []
    assert "taken for lost while its worker lived" in only(Promise.RESCUE, run)


def test_a_rerun_after_a_death_is_allowed_to_a_kind_that_reruns(run: Fabricated) -> None:
    run.record.deaths.append(Death(pid=CHILD, at=START + 13.5))
    _two_attempts(run, "rerun", retry=False)
    assert fine(run).figures.rescued == 1


# --- one end, true causes, aborts -------------------------------------------------------------------------------------


def test_a_terminal_state_that_is_left_is_found(run: Fabricated) -> None:
    _killed(run, rescued_at=115)
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
    _two_attempts(run, "retried", retry=True)
    run.record.aborts.append(Abort(job=4, at=START + 12.5, status=200))
    assert "RUNNING → SCHEDULED after it" in only(Promise.ABORTS, run)


# --- /readyz and answers ----------------------------------------------------------------------------------------------


def _down(run: Fabricated, component: str, since: float, until: float) -> None:
    times = {"since": START + since, "down": START + since + 1, "up": START + until - 1, "until": START + until}
    run.record.outages.append(Outage(component=component, **times))


def _probe(run: Fabricated, at: float, *, seconds: float = 0.1, status: int = 200, **states: str) -> None:
    run.record.probes.append(Probe(at=START + at, seconds=seconds, status=status, states={**GOOD, **states}))


def test_readyz_may_need_a_while_to_see_a_fault(run: Fabricated) -> None:
    _down(run, "broker", 100, 130)
    _probe(run, 114)
    _probe(run, 120, status=503, broker="away")
    _probe(run, 140, status=503, broker="away")
    _probe(run, 146)
    assert fine(run).figures.probes == 4


@pytest.mark.parametrize("at", [116.5, 128.0])
def test_readyz_that_does_not_see_a_fault_is_found(run: Fabricated, at: float) -> None:
    _down(run, "broker", 100, 130)
    _probe(run, at)
    assert '"ok" of broker, which was not there' in only(Promise.TRUTH, run)


def test_readyz_that_still_sees_a_fault_long_past_is_found(run: Fabricated) -> None:
    _down(run, "database", 100, 130)
    _probe(run, 146, status=503, database="away")
    assert '"away" of database, which was there' in only(Promise.TRUTH, run)


def test_readyz_that_misses_the_death_of_every_worker_is_found(run: Fabricated) -> None:
    run.record.processes[0] = replace(run.record.processes[0], until=START + 100)
    run.record.pauses.append(Pause(pid=200, since=START + 90, until=START + 140))
    _probe(run, 116)
    assert '"ok" of worker, which was not there' in only(Promise.TRUTH, run)


def test_readyz_that_calls_a_live_beat_missing_is_found(run: Fabricated) -> None:
    _probe(run, 50, status=503, beat="missing")
    assert '"missing" of beat, which was there' in only(Promise.TRUTH, run)


@pytest.mark.parametrize(("seconds", "status"), [(2.5, 200), (10.0, 0)])
def test_readyz_that_is_slow_or_silent_is_found(run: Fabricated, seconds: float, status: int) -> None:
    _probe(run, 50, seconds=seconds, status=status)
    assert "no answer within 2 s" in only(Promise.TRUTH, run)


def test_readyz_of_a_dead_web_server_says_nothing(run: Fabricated) -> None:
    _down(run, "web", 49, 60)
    _probe(run, 50, seconds=10, status=0)
    assert fine(run).figures.probes == 0


def test_readyz_whose_status_belies_its_states_is_found(run: Fabricated) -> None:
    _probe(run, 50, status=503)
    assert "status 503 with" in only(Promise.TRUTH, run)


def _post(
    run: Fabricated, at: float, *, seconds: float = 0.1, status: int = 200, key: str = "k", job: int | None = 1
) -> None:
    run.record.posts.append(Post(at=START + at, seconds=seconds, status=status, key=key, job=job))


@pytest.mark.parametrize(("seconds", "status"), [(2.4, 200), (0.2, 500), (0.2, 503)])
def test_a_post_that_is_slow_or_refused_while_the_broker_is_down_is_found(
    run: Fabricated, seconds: float, status: int
) -> None:
    _down(run, "broker", 40, 60)
    _post(run, 50, seconds=seconds, status=status)
    only(Promise.POSTS, run)


def test_a_post_may_be_refused_while_the_database_is_away(run: Fabricated) -> None:
    _down(run, "database", 40, 60)
    _post(run, 50, seconds=1.5, status=503, job=None)
    fine(run)


def test_one_key_answered_with_two_jobs_is_found(run: Fabricated) -> None:
    _post(run, 50, job=1)
    _post(run, 51, job=2)
    assert "answered with several jobs" in only(Promise.POSTS, run)


# --- the run itself ---------------------------------------------------------------------------------------------------


def test_a_kind_of_fault_that_hit_nothing_proves_nothing(run: Fabricated) -> None:
    for kind, hits in (("broker purge", 2), ("broker purge", 0), ("worker killed", 0)):
        run.record.faults.append(Fault(kind=kind, at=START + 9, until=START + 10, target="", hits=hits))
    assert only(Promise.HITS, run) == "no fault of kind worker killed hit a RUNNING job or a held lock"


def test_a_clock_that_was_set_during_the_run_voids_it(run: Fabricated) -> None:
    run.record.lines[0] = replace(run.record.lines[0], mono=run.record.lines[0].mono - 3600)
    only(Promise.CLOCK, run)
