"""Lines for locks keep moving."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from cnaasjobs.db.clock import database_now
from jobs.dispatch import line
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.testing import exception_of
from jobs.upkeep import lines
from locks import service as locks
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claimed, refused
from tests.services import PostgreSQL

pytestmark = pytest.mark.django_db(transaction=True)


def parked() -> Job:
    """A job that found its lock taken."""
    job = fake_jobs.with_lock.schedule()
    refused(job)
    job.refresh_from_db()
    assert job.parked
    return job


def test_the_first_in_line_of_a_free_lock_is_woken() -> None:
    claimed(fake_jobs.with_lock.schedule())
    first, second = parked(), parked()
    assert lines.wake_first() == 0
    Lock.objects.update(holder_id=None, start_time=None)  # freed, and the waking was missed
    assert lines.wake_first() == 1
    assert lines.wake_first() == 0
    parked_now = dict(Job.objects.values_list("pk", "parked"))
    assert (parked_now[first.pk], parked_now[second.pk]) == (False, True)


def _is_not_due(job: Job) -> None:
    """As after the database's clock was set back."""
    Job.objects.filter(pk=job.pk).update(scheduled_time=database_now() + timedelta(hours=1))


def _waits_for_approval(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(unapproved=True)


def _was_woken(job: Job) -> None:
    """Its message is on its way: it waits for a slot, no longer for its lock."""
    Job.objects.filter(pk=job.pk).update(parked=False, dispatched_at=database_now())


@pytest.mark.parametrize("out_of_line", [_is_not_due, _waits_for_approval, _was_woken])
def test_a_job_that_is_not_in_line_is_neither_woken_nor_ended(
    out_of_line: Callable[[Job], None], django_assert_num_queries: Any
) -> None:
    claimed(fake_jobs.with_lock.schedule())
    job = parked()
    Job.objects.filter(pk=job.pk).update(waiting_since=database_now() - timedelta(days=2))
    out_of_line(job)
    assert lines.end_overdue() == 0
    Lock.objects.update(holder_id=None, start_time=None)
    with django_assert_num_queries(1):  # such jobs may wait for days: the lock is not asked about in each round
        assert lines.wake_first() == 0


def test_a_job_that_waited_too_long_for_its_lock_ends_and_says_for_whom() -> None:
    holder = fake_jobs.with_lock.schedule()
    claimed(holder)
    patient, impatient, ordinary = parked(), parked(), parked()
    Job.objects.filter(pk=impatient.pk).update(lock_wait_seconds=5, waiting_since=database_now() - timedelta(seconds=6))
    Job.objects.filter(pk=patient.pk).update(lock_wait_seconds=60, waiting_since=database_now() - timedelta(seconds=6))
    assert lines.end_overdue() == 1
    Job.objects.filter(pk=ordinary.pk).update(waiting_since=database_now() - timedelta(seconds=86401))
    assert lines.end_overdue() == 1
    assert set(Job.objects.filter(exception_type="LockWaitTimeout").values_list("pk", flat=True)) == {
        impatient.pk,
        ordinary.pk,
    }
    failure = exception_of(Job.objects.get(pk=impatient.pk))
    assert failure is not None
    assert failure["message"] == f"waited 5 s for lock devices: for job {holder.pk}, which holds it"


@pytest.mark.needs("postgresql")
def test_the_index_of_the_lines_finds_who_waited_too_long(postgresql: PostgreSQL) -> None:
    """A table of millions of jobs is not read for it each time."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert "job_line" in lines.overdue().explain()


def test_a_lock_whose_holder_ended_is_freed_and_the_next_woken() -> None:
    holder = fake_jobs.with_lock.schedule()
    claimed(holder)
    following = parked()
    assert lines.free_abandoned() == 0
    Job.objects.filter(pk=holder.pk).delete()
    assert lines.free_abandoned() == 1
    assert not locks.held().exists()
    following.refresh_from_db()
    assert not following.parked


def test_a_lock_held_under_an_older_token_than_its_job_s_run_is_freed() -> None:
    job = fake_jobs.with_lock.schedule()
    run = claimed(job)
    Job.objects.filter(pk=job.pk).update(fence=run.fence + 1)  # type: ignore[operator]
    assert lines.free_abandoned() == 1


def test_a_lock_taken_anew_by_the_same_job_is_not_freed_by_an_old_look(monkeypatch: pytest.MonkeyPatch) -> None:
    job = fake_jobs.with_lock.schedule()
    run = claimed(job)
    seen = list(locks.held())
    Lock.objects.update(fence=run.fence + 1)  # type: ignore[operator]
    Job.objects.filter(pk=job.pk).update(fence=run.fence + 1)  # type: ignore[operator]
    monkeypatch.setattr(lines, "abandoned", lambda: seen)
    assert lines.free_abandoned() == 0
    assert Lock.objects.get().holder_id == job.pk


def _has_its_turn(job: Job) -> None:
    assert line.wake("devices")


def _has_run(job: Job) -> None:
    """And waits for its next attempt."""
    assert line.wake("devices")
    assert transitions.retry(claimed(Job.objects.get(pk=job.pk)), due=3600, reason="not now")


@pytest.mark.parametrize("meanwhile", [_has_its_turn, _has_run])
def test_a_job_that_got_the_lock_after_the_look_at_the_line_is_not_ended(
    meanwhile: Callable[[Job], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = claimed(fake_jobs.with_lock.schedule())
    job = parked()
    Job.objects.filter(pk=job.pk).update(waiting_since=database_now() - timedelta(days=2))

    def ended(*args: Any, **options: Any) -> bool:
        locks.release("devices", holder_id=holder.job_id, fence=holder.fence or 0)
        meanwhile(job)
        return cancel(*args, **options)

    cancel = transitions.cancel
    monkeypatch.setattr(transitions, "cancel", ended)
    assert lines.end_overdue() == 0
    job.refresh_from_db()
    assert (job.status, job.parked) == ("SCHEDULED", False)
