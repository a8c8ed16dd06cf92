"""The checks of starts and rescues can fail."""

from dataclasses import replace

import pytest

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import fine, judge, only
from tests.chaos.fabricated import CHILD, SECOND_CHILD, SECOND_WORKER, START, WORKER, Fabricated
from tests.chaos.ledger import Event
from tests.chaos.record import Death, Pause, Remnant

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


# --- rescue -----------------------------------------------------------------------------------------------------------


def test_a_killed_job_is_rescued_in_time(run: Fabricated) -> None:
    run.killed(rescued_at=115)
    figures = fine(run).figures
    assert figures.rescued == 1
    assert figures.longest_rescue == pytest.approx(5)
    assert figures.exceptions == {"WorkerLost": 1}


def test_a_rescue_that_comes_too_late_is_found(run: Fabricated) -> None:
    run.killed(rescued_at=180)
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
    run.record.beats = {WORKER: [START + 104, START + 110, START + 115], SECOND_WORKER: [START + 111.5]}
    run.record.pauses.append(Pause(pid=WORKER, since=START + 105, until=START + 109))
    run.killed(rescued_at=112)
    run.record.deaths = []
    assert "taken for lost while its worker lived (w1@host, silent for 2.0 s)" in only(Promise.RESCUE, run)


def test_a_pause_before_the_run_began_is_no_reason(run: Fabricated) -> None:
    run.record.pauses.append(Pause(pid=WORKER, since=START + 80, until=START + 100.5))
    run.killed(rescued_at=112)
    run.record.deaths = []
    assert "taken for lost while its worker lived" in only(Promise.RESCUE, run)


def test_a_rerun_after_a_death_is_allowed_to_a_kind_that_reruns(run: Fabricated) -> None:
    run.record.deaths.append(Death(pid=CHILD, at=START + 13.5))
    run.two_attempts("rerun", retry=False)
    assert fine(run).figures.rescued == 1


@pytest.mark.parametrize(("component", "is_excused"), [("database", True), ("broker", False)])
def test_a_worker_that_was_cut_off_from_the_database_counts_as_lost(
    run: Fabricated, component: str, is_excused: bool
) -> None:
    run.killed(rescued_at=118)
    run.record.deaths = []
    run.cut_off("host1", component, 101, 121)
    if is_excused:
        assert fine(run).figures.longest_rescue == pytest.approx(17)
    else:
        assert "taken for lost while its worker lived" in only(Promise.RESCUE, run)


def test_the_slots_of_a_host_that_was_cut_off_are_not_idle(run: Fabricated) -> None:
    run.cut_off("host1", "broker", 99, 169)
    run.cut_off("host2", "database", 99, 169)
    _waits(run)
    fine(run)


# --- what a vanished host held ----------------------------------------------------------------------------------------


def _vanished(run: Fabricated, *, until: float | None) -> None:
    free = None if until is None else START + until
    run.record.remnants.append(Remnant(host="host1", since=START + 100, until=free, held=3))


def test_what_a_vanished_host_held_is_free_in_time(run: Fabricated) -> None:
    _vanished(run, until=124)
    assert fine(run).figures.longest_remnant == pytest.approx(24)


@pytest.mark.parametrize("until", [161, None])
def test_what_a_vanished_host_holds_for_too_long_is_found(run: Fabricated, until: float | None) -> None:
    _vanished(run, until=until)
    assert "3 locks that it held were not free after" in only(Promise.REMNANTS, run)
