"""A store's claim and finish: what they write is complete, and each of their conditions refuses by itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError
from django.db.models import Model

from cnaasjobs.db.clock import database_now
from jobs.models import Job, JobOutcome
from jobs.outcome import Outcome
from jobs.run import Run, Standing
from jobs.sql import store
from jobs.sql.signature import Claimant
from jobs.states import Status
from jobs.task import JobTask
from locks.models import Lock
from tests import fake_jobs
from tests.factory import job_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]

TASKS = [fake_jobs.nothing, fake_jobs.with_lock]


@pytest.fixture(autouse=True)
def _locks(each_database: None) -> None:
    Lock.objects.bulk_create([Lock(name="devices", fence=4), Lock(name="other", fence=9)])


def claim(job: Job, *, task_name: str | None = None, lock_name: str | None = "its own") -> Run | None:
    lock_name = job.lock_name if lock_name == "its own" else lock_name
    return store().claim(job.pk, task_name or job.task_name, Claimant(uuid4(), 7, "celery@w1"), lock_name=lock_name)


def claimed(job: Job) -> Run:
    run = claim(job)
    assert run is not None
    return run


def everything() -> list[Any]:
    tables: list[type[Model]] = [Job, Lock, JobOutcome]
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


@pytest.mark.parametrize("task", TASKS)
def test_a_claim_starts_the_job_and_takes_its_lock(task: JobTask) -> None:
    job = task.schedule()
    Job.objects.filter(pk=job.pk).update(attempt=2, waiting_since=database_now(), parked=job.lock_name is not None)
    before = database_now()
    run = claimed(job)
    job.refresh_from_db()
    assert (job.status, job.run_token, job.attempt) == ("RUNNING", run.run_token, 3)
    assert (job.worker_id, job.worker, job.finished_devices) == (7, "celery@w1", "[]")
    assert (job.parked, job.waiting_since) == (False, None)
    assert job.start_time is not None
    assert before <= job.start_time <= database_now()
    assert Run.of(job) == run
    locks = {lock.name: (lock.holder_id, lock.fence, lock.start_time) for lock in Lock.objects.all()}
    assert locks["other"] == (None, 9, None)
    if task.lock is None:
        assert run.fence is None
        assert locks["devices"] == (None, 4, None)
    else:
        assert run.fence == 5
        assert locks["devices"] == (job.pk, 5, job.start_time)


@pytest.mark.parametrize("task", TASKS)
def test_nothing_starts_before_its_time(task: JobTask) -> None:
    job = task.schedule()
    Job.objects.filter(pk=job.pk).update(scheduled_time=database_now() + timedelta(seconds=30))
    before = everything()
    assert claim(job) is None
    assert everything() == before


@pytest.mark.parametrize("task", TASKS)
def test_a_message_of_another_task_starts_nothing(task: JobTask) -> None:
    job = task.schedule()
    before = everything()
    assert claim(job, task_name="tests.fake_jobs.echo") is None
    assert everything() == before


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("status", [Status.RUNNING, Status.FINISHED, Status.EXCEPTION])
def test_a_job_that_does_not_wait_is_not_started(status: Status, task: JobTask) -> None:
    job = job_in(status, task=task)
    Lock.objects.filter(name="devices").update(holder_id=None, start_time=None)
    before = everything()
    assert claim(job) is None
    assert everything() == before


@pytest.mark.parametrize(
    ("task", "lock_name"),
    [(fake_jobs.nothing, "devices"), (fake_jobs.with_lock, "other"), (fake_jobs.with_lock, None)],
)
def test_a_job_is_not_started_by_another_lock_than_its_own(task: JobTask, lock_name: str | None) -> None:
    job = task.schedule()
    before = everything()
    assert claim(job, lock_name=lock_name) is None
    assert everything() == before


def test_a_held_lock_is_not_taken() -> None:
    Lock.objects.filter(name="devices").update(holder_id=4711, start_time=database_now())
    job = fake_jobs.with_lock.schedule()
    before = everything()
    assert claim(job) is None
    assert everything() == before


def test_a_job_that_waits_for_approval_is_not_started() -> None:
    job = fake_jobs.with_lock.schedule()
    Job.objects.filter(pk=job.pk).update(unapproved=True, parked=True)
    before = everything()
    assert claim(job) is None
    assert everything() == before


def test_a_job_that_waits_for_approval_is_ahead_of_nobody() -> None:
    first, second = fake_jobs.with_lock.schedule_many([{}, {}])
    Job.objects.filter(pk=first.pk).update(unapproved=True, parked=True)
    claimed(second)


def test_a_lock_without_a_row_is_not_taken() -> None:
    Lock.objects.all().delete()
    job = fake_jobs.with_lock.schedule()
    assert claim(job) is None
    assert not Lock.objects.exists()


def _earlier(job: Job, other: Job) -> None:
    Job.objects.filter(pk=other.pk).update(scheduled_time=job.scheduled_time - timedelta(seconds=1))


def _at_the_same_time(job: Job, other: Job) -> None:
    Job.objects.filter(pk__in=[job.pk, other.pk]).update(scheduled_time=job.scheduled_time)


def _in_line(job: Job, other: Job) -> None:
    _earlier(job, other)
    Job.objects.filter(pk=other.pk).update(parked=True, dispatched_at=None)


@pytest.mark.parametrize("is_ahead", [_earlier, _at_the_same_time, _in_line])
def test_a_job_that_is_behind_in_line_does_not_take_the_lock(is_ahead: Callable[[Job, Job], None]) -> None:
    first, second = fake_jobs.with_lock.schedule_many([{}, {}])
    is_ahead(second, first)
    before = everything()
    assert claim(second) is None
    assert everything() == before
    claimed(first)


def test_who_fell_due_first_is_ahead_of_who_was_scheduled_first() -> None:
    scheduled_first, due_first = fake_jobs.with_lock.schedule_many([{}, {}])
    _earlier(scheduled_first, due_first)
    assert claim(scheduled_first) is None
    claimed(due_first)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FINISHED, Status.EXCEPTION])
def test_only_those_who_wait_for_the_same_lock_are_ahead_in_its_line(status: Status) -> None:
    fake_jobs.nothing.schedule()
    fake_jobs.with_other_lock.schedule()
    job_in(status, task=fake_jobs.with_lock)
    Lock.objects.filter(name="devices").update(holder_id=None, start_time=None)
    claimed(fake_jobs.with_lock.schedule())


# --- the finish -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("result", "devices"), [(None, None), ('{"a": "å %s $1"}', None), (None, 12)])
@pytest.mark.parametrize("task", TASKS)
def test_a_finish_stores_all_and_frees_the_lock(task: JobTask, result: str | None, devices: int | None) -> None:
    job = task.schedule()
    outcome = Outcome(result=result, change_score=7, finished_devices='["sw1"]', devices_bytes=devices)
    before = database_now()
    assert store().finish(claimed(job), outcome, next_job_id=99)
    job.refresh_from_db()
    assert (job.status, job.change_score, job.finished_devices, job.next_job_id) == ("FINISHED", 7, '["sw1"]', 99)
    assert (job.run_token, job.fence) == (None, None)
    assert job.finish_time is not None
    assert before <= job.finish_time <= database_now()
    stored = [(job.pk, result, None, devices)] if result or devices else []
    assert list(JobOutcome.objects.values_list("job_id", "result", "exception", "devices_bytes")) == stored
    assert set(Lock.objects.values_list("holder_id", "start_time")) == {(None, None)}


@pytest.mark.parametrize("task", TASKS)
def test_a_finish_whose_result_can_not_be_stored_changes_nothing(task: JobTask) -> None:
    run = claimed(task.schedule())
    JobOutcome.objects.create(job_id=run.job_id)  # in its way
    before = everything()
    with pytest.raises(IntegrityError):
        store().finish(run, Outcome(result='"done"'), next_job_id=None)
    assert everything() == before


def test_a_finish_keeps_the_devices_that_were_shown() -> None:
    run = claimed(job := fake_jobs.nothing.schedule())
    Job.objects.filter(pk=job.pk).update(finished_devices='["sw1"]')
    assert store().finish(run, Outcome(result=None), next_job_id=None)
    assert Job.objects.get(pk=job.pk).finished_devices == '["sw1"]'


@pytest.mark.parametrize("result", [None, '"late"'])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("forgotten", [False, True])  # by a failover: the next run got the same fencing token
def test_a_run_that_is_over_finishes_nothing(task: JobTask, result: str | None, *, forgotten: bool) -> None:
    job = task.schedule()
    late = claimed(job)
    fence = late.fence and late.fence + (not forgotten)
    Job.objects.filter(pk=job.pk).update(run_token=uuid4(), fence=fence)
    Lock.objects.filter(holder_id=job.pk).update(fence=fence)
    before = everything()
    assert not store().finish(late, Outcome(result=result), next_job_id=None)
    assert everything() == before


@pytest.mark.parametrize("other", [{"holder_id": 4711}, {"fence": 6}])
def test_a_finish_frees_a_lock_by_its_holder_and_its_token(other: dict[str, int]) -> None:
    run = claimed(fake_jobs.with_lock.schedule())
    Lock.objects.filter(name="devices").update(**other)
    before = Lock.objects.values().get(name="devices")
    assert store().finish(run, Outcome(result=None), next_job_id=None)
    assert Lock.objects.values().get(name="devices") == before


# --- what a safe point asks -------------------------------------------------------------------------------------------


def test_a_run_stands_with_its_lock_while_it_holds_it() -> None:
    alone, run = claimed(fake_jobs.nothing.schedule()), claimed(fake_jobs.with_lock.schedule())
    assert store().standing_of(alone.job_id) == Standing(alone.run_token, None, None)
    assert store().standing_of(run.job_id) == Standing(run.run_token, None, 5)
    Lock.objects.filter(name="other").update(holder_id=run.job_id, start_time=database_now())
    Lock.objects.filter(name="devices").update(holder_id=4711)  # under the same token, after a failover
    assert store().standing_of(run.job_id) == Standing(run.run_token, None, None)
    assert store().standing_of(4711) is None
