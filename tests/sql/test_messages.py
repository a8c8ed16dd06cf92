"""Which jobs a store hands out to be sent: those that are due, and the first in line for a free lock."""

from datetime import UTC, datetime, timedelta

import pytest

from cnaasjobs.db.clock import database_now
from jobs.models import Job
from jobs.sql import store
from jobs.states import Status
from tests import fake_jobs
from tests.factory import job_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


def _unsent(**fields: object) -> Job:
    job = fake_jobs.with_lock.schedule()
    Job.objects.filter(pk=job.pk).update(**{"dispatched_at": None, **fields})
    job.refresh_from_db()
    return job


def taken(limit: int = 10) -> list[int]:
    return [job.job_id for job in store().take_due(limit)]


def test_due_jobs_are_taken_once_the_earliest_first() -> None:
    first, second, third = (_unsent() for _ in range(3))
    Job.objects.filter(pk=third.pk).update(scheduled_time=first.scheduled_time - timedelta(seconds=1))
    before = database_now()
    assert taken(2) == [third.pk, first.pk]
    assert taken(2) == [second.pk]
    assert taken() == []
    assert all(job.dispatched_at and job.dispatched_at >= before for job in Job.objects.all())


def test_a_taken_job_is_what_its_message_needs() -> None:
    job = _unsent(priority=7, queue="bulk")
    assert store().take_due(1) == [(job.pk, "tests.fake_jobs.with_lock", "bulk", 7)]


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FINISHED, Status.EXCEPTION])
def test_only_jobs_that_wait_are_taken(status: Status) -> None:
    job = job_in(status)
    Job.objects.filter(pk=job.pk).update(dispatched_at=None)
    assert taken() == []


def test_no_job_is_taken_that_is_sent_in_line_or_not_due() -> None:
    _unsent(dispatched_at=database_now())
    _unsent(parked=True)
    _unsent(scheduled_time=database_now() + timedelta(seconds=30))
    assert taken() == []


# --- the first in line ------------------------------------------------------------------------------------------------


def test_the_first_in_line_is_woken_once() -> None:
    first, second = _unsent(parked=True), _unsent(parked=True)
    Job.objects.filter(pk=second.pk).update(scheduled_time=first.scheduled_time)
    assert store().wake_first("devices") == (first.pk, first.task_name, first.queue, first.priority)
    assert store().wake_first("devices") is None, "the first is on its way, and nobody is woken past it"
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.parked, second.parked) == (False, True)
    assert first.dispatched_at is not None


def test_the_job_that_fell_due_first_is_first_in_line() -> None:
    first, second = _unsent(parked=True), _unsent(parked=True)
    Job.objects.filter(pk=second.pk).update(scheduled_time=first.scheduled_time - timedelta(seconds=1))
    woken = store().wake_first("devices")
    assert woken is not None
    assert woken.job_id == second.pk


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FINISHED, Status.EXCEPTION])
def test_a_job_that_does_not_wait_is_not_in_line(status: Status) -> None:
    job_in(status, task=fake_jobs.with_lock)
    waiting = _unsent(parked=True)
    woken = store().wake_first("devices")
    assert woken is not None
    assert woken.job_id == waiting.pk


def test_another_locks_line_is_another_line() -> None:
    _unsent(lock_name="other", parked=True)
    mine = _unsent(parked=True)
    woken = store().wake_first("devices")
    assert woken is not None
    assert woken.job_id == mine.pk


@pytest.mark.parametrize("why", [{"scheduled_time": datetime(2999, 1, 1, tzinfo=UTC)}, {"unapproved": True}])
def test_a_job_that_may_not_start_yet_is_not_woken_and_holds_nobody_up(why: dict[str, object]) -> None:
    _unsent(parked=True, **why)
    assert store().wake_first("devices") is None
    other = _unsent(parked=True)
    woken = store().wake_first("devices")
    assert woken is not None
    assert woken.job_id == other.pk
