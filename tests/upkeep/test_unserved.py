"""A job that is due on a queue that no live worker serves is reported."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.models import Heartbeat, Job
from jobs.upkeep.unserved import Warn, unserved
from tests import fake_jobs
from tests.factory import heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


def due_since(seconds: float, queue: str) -> Job:
    job = scheduling.schedule(fake_jobs.nothing, {}, queue=queue)
    Job.objects.filter(pk=job.pk).update(scheduled_time=database_now() - timedelta(seconds=seconds))
    return job


def test_only_due_jobs_on_queues_without_a_live_worker() -> None:
    heartbeat(queues='["default", "served"]')
    heartbeat(name="gone", queues='["lost"]', stopped_at=database_now())
    due_since(61, "served")
    due_since(30, "nowhere")
    assert unserved() == []
    first, _ = due_since(100, "nowhere"), due_since(70, "nowhere")
    unsent = due_since(80, "lost")
    Job.objects.filter(pk=unsent.pk).update(dispatched_at=None)
    assert [(each.queue, each.jobs, each.oldest_job_id) for each in unserved()] == [
        ("lost", 1, unsent.pk),
        ("nowhere", 2, first.pk),
    ]


def test_sent_and_unsent_jobs_of_a_queue_count_together() -> None:
    unsent = due_since(90, "nowhere")
    Job.objects.filter(pk=unsent.pk).update(dispatched_at=None)
    due_since(80, "nowhere")
    assert [(each.jobs, each.oldest_job_id) for each in unserved()] == [(2, unsent.pk)]


def test_one_waiting_for_its_lock_waits_for_no_worker() -> None:
    job = fake_jobs.with_lock.schedule()
    Job.objects.filter(pk=job.pk).update(
        scheduled_time=database_now() - timedelta(hours=1), parked=True, dispatched_at=None
    )
    assert unserved() == []


def test_the_log_names_job_and_queue_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    warn = Warn(clock=lambda: now)
    job = due_since(61, "nowhere")
    assert [warn.step() for _ in range(3)] == [1, 0, 0]
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert f"no live worker serves queue nowhere: 1 jobs wait, job {job.pk} (nothing)" in record.getMessage()
    now += 301
    assert warn.step() == 1
    Heartbeat.objects.all().delete()


def test_a_queue_that_was_served_meanwhile_is_named_at_once() -> None:
    warn = Warn(clock=lambda: 1000.0)
    due_since(61, "nowhere")
    assert warn.step() == 1
    worker = heartbeat(queues='["nowhere"]')
    assert warn.step() == 0
    worker.delete()
    assert warn.step() == 1


def test_one_that_starts_between_two_looks_is_not_named() -> None:
    due_since(61, "nowhere")

    def starts(execute: Any, sql: str, *more: Any) -> Any:
        found = execute(sql, *more)
        if "MIN(" in sql:
            Job.objects.all().delete()
        return found

    with connection.execute_wrapper(starts):
        assert unserved() == []
    assert not Job.objects.exists()
