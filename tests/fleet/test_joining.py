"""Who may take part in a run, and who is refused. By the product's own functions, on both databases."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from celery.app.trace import build_tracer
from django.db.models import F

from cnaasjobs.db.clock import database_now
from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.body.execution import Execution
from jobs.end_reasons import Failure
from jobs.lifecycle import participants, transitions
from jobs.models import Job, JobDevice, Participant
from jobs.outcome import Outcome
from jobs.run import Refused
from jobs.sql import store
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import result_of
from jobs.upkeep.orphans import end_orphans
from locks import service as locks
from tests import fake_jobs
from tests.factory import claimed
from tests.fake_jobs import fleets
from tests.fleet.parts import (
    TAKEN,
    WAITING,
    aborted,
    begun,
    cleared,
    ended,
    join,
    joined,
    leave,
    lose,
    named,
    states,
    taking_part,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_process_that_joins_takes_part_and_takes_what_nobody_has_begun() -> None:
    run, _ = begun(take=1)
    helper = joined(run)
    assert taking_part(run) == {run.run_token, helper.run_token}
    assert named(run) == run.run_token
    seen, taken = store().take_devices(helper, 2)
    assert [device.host for device in taken] == ["b", "c"]
    assert (seen.is_mine, states(run.job_id)) == (True, [TAKEN, TAKEN, TAKEN, WAITING])


@job
def tells_its_worker(ctx: JobContext) -> None:
    def one(device: str) -> int | None:
        with ctx.database():
            return Participant.objects.get().worker_id

    ctx.each(["a"], one)


def test_the_process_that_begins_a_run_takes_part_in_the_name_of_its_worker() -> None:
    row, task = tells_its_worker.schedule(), current_app.tasks[tells_its_worker.name]
    request = {"id": "m", "hostname": "here", "worker_id": 7}
    build_tracer(task.name, task, app=current_app)("m", (row.pk,), {}, request)
    assert result_of(row) == {"devices": {"a": 7}}


def test_a_participant_that_is_not_named_in_the_row_neither_ends_the_run_nor_frees_its_lock() -> None:
    run, _ = begun()
    helper = joined(run)
    assert transitions.fail(helper, Failure(type="X", message="x")) is False
    assert transitions.finish(helper, Outcome(result=None)) is False
    assert transitions.retry(helper, due=0.0, reason="again") is False
    assert locks.held().exists()
    assert named(run) == run.run_token


def test_a_participant_whose_body_fails_before_its_devices_leaves_the_job_to_the_others(heard: list[Event]) -> None:
    run, _ = begun()
    Execution(joined(run), joined=True).run_body(fake_jobs.nothing)  # it calls no ctx.each
    assert [event.fields["job_id"] for event in heard if event.action is JobAction.LEAVE] == [run.job_id]
    assert (taking_part(run), named(run)) == ({run.run_token}, run.run_token)


def test_joining_twice_with_one_token_is_joining_once() -> None:
    run, _ = begun()
    token = uuid4()
    joined(run, token=token)
    joined(run, token=token)
    assert len(taking_part(run)) == 2


def all_begun(run: Any) -> None:
    store().take_devices(run, 10)


def tried(run: Any) -> None:
    """What is left has cost a process: the last participant begins it, alone, and whoever joined would leave again."""
    JobDevice.objects.filter(job_id=run.job_id).update(tries=1)


def enough(run: Any) -> None:
    for _ in range(3):
        joined(run)


def of_another_attempt(run: Any) -> None:
    Job.objects.filter(pk=run.job_id).update(attempt=2)


def waited_for(run: Any) -> None:
    """A job was sent a second ago, and nobody has taken it."""
    job = fake_jobs.nothing.schedule()
    Job.objects.filter(pk=job.pk).update(dispatched_at=database_now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (ended, "it is about to end"),
        (aborted, "it is about to end"),
        (cleared, "it lost its lock"),
        (all_begun, "all its devices have been begun"),
        (tried, "all its devices have been begun"),
        (enough, "it has enough participants"),
        (of_another_attempt, "it has not reached its devices yet"),
        (waited_for, "a job waits for a slot"),
    ],
)
def test_nobody_joins_where_it_is_no_use(change: Any, reason: str) -> None:
    run, _ = begun()
    change(run)
    answer = join(run)
    assert isinstance(answer, Refused)
    assert answer.reason == reason


@pytest.mark.parametrize("waits", [{"queue": "another"}, {"dispatched_at": None}])
def test_a_job_that_waits_for_no_slot_here_keeps_nobody_away(waits: dict[str, Any]) -> None:
    run, _ = begun()
    waited_for(run)
    Job.objects.exclude(pk=run.job_id).update(**waits)
    Job.objects.filter(pk=run.job_id).update(dispatched_at=database_now() - timedelta(hours=1))  # it has its slot
    joined(run)


def test_a_job_that_was_sent_this_moment_keeps_nobody_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participants, "CROWDED_SECONDS", 3600)
    run, _ = begun()
    waited_for(run)
    joined(run)


def test_a_run_without_a_lock_has_none_to_lose(heard: list[Event]) -> None:
    run, _ = begun(task=fleets.each_with_result)
    helper = joined(run, task_name=fleets.each_with_result.name)
    for one in (run, helper):
        assert leave(one, though_waiting=True).gone
    assert end_orphans() == 0
    job = Job.objects.select_related("fleet").get(pk=run.job_id)
    assert job.status == Status.RUNNING
    assert participants.end_of_orphan(job, longest=None) is participants.end_of_orphan(job, longest=3600.0) is None
    assert not [event for event in heard if event.action is JobAction.THREAD_FAILS]


def test_a_run_in_which_nobody_takes_part_goes_on_though_jobs_wait() -> None:
    run, _ = begun()
    waited_for(run)
    tried(run)
    assert lose(run)
    joined(run)


def test_nobody_joins_a_run_that_has_not_come_to_its_devices() -> None:
    run = claimed(fleets.each.schedule(hosts=["a"]))
    answer = join(run)
    assert isinstance(answer, Refused)
    assert answer.reason == "it is not running, or needs no help"
    assert (store().fingerprint(run.job_id), store().tally(run.job_id)) == (None, None)


def test_nobody_joins_after_the_time_limit_nor_another_task_nor_what_does_not_run() -> None:
    run, _ = begun()
    Job.objects.filter(pk=run.job_id).update(start_time=F("start_time") - timedelta(seconds=100))
    assert isinstance(join(run, longest=99.0), Refused)
    assert isinstance(join(run, task_name="another"), Refused)
    answer = join(run, longest=200.0)
    assert not isinstance(answer, Refused)
    assert 99 < answer.age < 150  # its time limits count from there
    transitions.end_lost(Job.objects.get(pk=run.job_id), Failure(type="X", message="x"))
    assert isinstance(join(run), Refused)
