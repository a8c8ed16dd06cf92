"""Leaving a run: who hands it on, who is the last one out, and a run that all have left."""

from datetime import timedelta
from typing import Any
from unittest.mock import ANY
from uuid import UUID, uuid4

import pytest
from django.db.models import F

from jobs.end_reasons import EndReason, Failure
from jobs.fleet.ends import EndedElsewhere
from jobs.lifecycle import participants, transitions
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.sql import store
from jobs.sql.device_signature import Batch, NewFleet, Tally
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import exception_of, perform_job, result_of
from jobs.upkeep.orphans import end_orphans, orphans
from locks import service as locks
from tests.fake_jobs import fleets
from tests.fleet.parts import (
    DONE,
    TAKEN,
    WAITING,
    aborted,
    begun,
    cleared,
    ended,
    joined,
    leave,
    lose,
    named,
    over,
    states,
    taking_part,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
each_database = pytest.mark.usefixtures("each_database")


@each_database
def test_a_participant_that_leaves_hands_the_run_on_to_the_eldest_and_ends_nothing() -> None:
    run, taken = begun(take=1)
    younger = joined(run, token=UUID(int=1), worker="younger")
    helper = joined(run, token=UUID(int=2), worker="second", worker_id=7)
    first = Participant.objects.get(pk=run.run_token).joined_at
    Participant.objects.filter(pk=helper.run_token).update(joined_at=first)
    leaving = leave(run, Batch([over(taken[0].id)]))
    assert (leaving.gone, leaving.last) == (True, False)
    job = Job.objects.get(pk=run.job_id)
    assert (job.status, job.run_token, job.worker_id, job.worker) == (Status.RUNNING, helper.run_token, 7, "second")
    assert taking_part(run) == {helper.run_token, younger.run_token}
    assert states(run.job_id)[0] == DONE
    assert locks.held().exists()
    assert Fleet.objects.get().orphan is None


@each_database
def test_the_last_one_stays_while_devices_wait() -> None:
    run, _ = begun(take=1)
    leaving = leave(run)
    assert (leaving.gone, leaving.last) == (False, False)
    assert taking_part(run) == {run.run_token} == {named(run)}


@each_database
def test_the_last_one_out_gets_the_tally_of_all() -> None:
    run, taken = begun(["a", "b"], take=1)
    helper = joined(run)
    _, more = store().take_devices(helper, 5)
    assert leave(helper, Batch([over(more[0].id)])).gone
    assert store().tally(run.job_id) == Tally(devices=2, over=1, failed=0, max_score=3, unreported=0, size=ANY)
    leaving = leave(run, Batch([over(taken[0].id)._replace(failed=True, reason="it said no")]))
    assert (leaving.gone, leaving.last) == (False, True)
    assert leaving.tally == Tally(devices=2, over=2, failed=1, max_score=3, unreported=0, size=ANY)
    assert not taking_part(run)


@job
def has_an_idle_thread(ctx: JobContext) -> None:
    """When "b" is over another has "c" in hand, and it gives that back while "a" goes on."""
    begun: list[str] = []

    def is_over(host: str) -> bool:
        with ctx.database():
            return JobDevice.objects.filter(host=host, state=DONE).exists()

    def is_in_hand_of(participant: UUID | None) -> None:
        with ctx.database():
            JobDevice.objects.filter(host="c").update(participant=participant)

    def one(device: str) -> str:
        begun.append(device)
        if device == "b":
            is_in_hand_of(uuid4())
        if device == "a":
            wait_until(lambda: is_over("b"))
            is_in_hand_of(None)
            wait_until(lambda: "c" in begun)
        return device

    ctx.each(["a", "b", "c"], one, at_once=2)


def test_what_another_gives_back_is_begun_by_a_thread_that_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.fleet.each.LOOK_SECONDS", 0.01)
    assert result_of(perform_job(has_an_idle_thread)) == {"devices": {"a": "a", "b": "b", "c": "c"}}


def test_a_participant_that_leaves_again_gets_the_same_answer() -> None:
    """Its answer may be lost with the connection."""
    run, taken = begun(["a"], take=1)
    batch = Batch([over(taken[0].id)])
    assert leave(run, batch).last
    again = leave(run, batch)
    assert again.last
    assert again.tally.over == 1


def test_leaving_others_may_be_repeated() -> None:
    run, _ = begun(["a"], take=0)
    joined(run)
    assert leave(run).gone
    assert leave(run).gone


def test_beginning_and_joining_and_taking_may_be_repeated() -> None:
    run, taken = begun(take=2)
    fleet = NewFleet(helpers=3, repeats=False, all_or_none=False, fingerprint="alike")
    assert store().begin_devices(run, fleet, ["a", "b", "c", "d"], take=2, worker_id=None) == taken
    assert len(states(run.job_id)) == 4
    store().take_devices(run, 1)
    assert [device.host for device in store().taken_devices(run)] == ["a", "b", "c"]
    batch = Batch([over(taken[0].id)])
    store().write_devices(run, batch)
    store().write_devices(run, batch)
    assert states(run.job_id) == [DONE, TAKEN, TAKEN, WAITING]
    assert [device.host for device in store().taken_devices(run)] == ["b", "c"]


@each_database
def test_a_run_that_was_left_by_all_waits_for_others_and_then_ends() -> None:
    run, _ = begun(take=0)
    assert leave(run, though_waiting=True).gone
    job = Job.objects.get(pk=run.job_id)
    assert job.status == Status.RUNNING
    assert job.run_token != run.run_token
    assert (job.worker_id, job.worker) == (None, "first")
    assert leave(run).gone  # who comes back ends nothing
    assert end_orphans() == 0
    helper = joined(run)
    assert named(run) == helper.run_token
    assert Fleet.objects.get().orphan is None
    assert leave(helper, though_waiting=True).gone
    token = named(run)
    assert token is not None
    assert transitions.lose(run.job_id, token, type=EndReason.WORKER_LOST, message="no heartbeat")
    job.refresh_from_db()
    assert (job.exception_type, result_of(job)) == ("WorkerShutdown", {"devices": {}})
    assert not locks.held().exists()


def late(run: Any) -> None:
    Job.objects.filter(pk=run.job_id).update(start_time=F("start_time") - timedelta(days=300))


@pytest.mark.parametrize(
    ("change", "type_", "message"),
    [
        (aborted, "JobAborted", "(aborted by operator)"),
        (cleared, "LockLost", "lock devices was cleared or taken over"),
        (ended, "X", "x"),
        (late, "TimeLimitExceeded", "the job ran longer than its time limit of 2 seconds"),
    ],
)
def test_a_run_that_waits_for_others_ends_where_there_is_nothing_to_wait_for(
    change: Any, type_: str, message: str
) -> None:
    run, _ = begun(take=0, task=fleets.each_limited, path="")
    assert leave(run, though_waiting=True).gone
    change(run)
    assert end_orphans() == 1
    job = Job.objects.get(pk=run.job_id)
    assert (job.exception_type, (exception_of(job) or {})["message"]) == (type_, message)
    assert not locks.held().exists()
    assert not orphans().exists()


def test_a_run_that_was_told_to_stop_ends_when_its_only_participant_is_lost_and_not_before() -> None:
    run, _ = begun()
    aborted(run)
    assert end_orphans() == 0
    assert Job.objects.get(pk=run.job_id).status == Status.RUNNING
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).exception_type == "JobAborted"


@each_database
def test_the_end_that_was_met_first_stays_and_the_last_one_out_carries_it_out() -> None:
    beside, _ = begun(task=fleets.each_with_result)
    run, _ = begun(take=1)
    helper = joined(run)
    first, second = (Failure(type=name, message=name).as_json() for name in ("First", "Second"))
    store().note_end(helper, first)
    assert store().fleet_standing(run).end == first
    with pytest.raises(EndedElsewhere, match="First"):
        JobContext(run, joined=True).checkpoint()
    seen, taken = store().take_devices(run, 3)
    assert (seen.end, taken) == (first, [])
    assert leave(helper, end=first, though_waiting=True).gone
    leaving = leave(run, end=second, though_waiting=True)
    assert (leaving.last, leaving.end) == (True, first)
    assert leave(run).end == first  # its answer was lost
    assert Fleet.objects.get(pk=beside.job_id).end is None


def test_the_process_that_ends_the_job_may_die_between_its_two_transactions() -> None:
    """The next that finds the run ends it as was noted, and does not take it for one whose worker was lost."""
    run, _ = begun(take=1)
    noted = Failure(type=EndReason.TIME_LIMIT_EXCEEDED, message="its time is over")
    assert not participants.lose(run.job_id, run.run_token, noted).goes_on
    assert lose(run)
    job = Job.objects.get(pk=run.job_id)
    assert (job.exception_type, (exception_of(job) or {})["message"]) == (noted.type, noted.message)
