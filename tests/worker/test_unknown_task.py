"""A job whose task no worker knows ends after other workers have had their chance."""

from datetime import timedelta
from typing import Any

import pytest

from cnaasjobs.db.clock import database_now
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.testing import exception_of
from jobs.worker.unknown_task import end_if_unknown
from tests import fake_jobs
from tests.factory import claimed

pytestmark = pytest.mark.django_db(transaction=True)


def job_due_since(seconds: float) -> Job:
    job = fake_jobs.nothing.schedule()
    due = database_now() - timedelta(seconds=seconds)
    Job.objects.filter(pk=job.pk).update(task_name="gone.task", scheduled_time=due)
    return job


def test_a_job_of_an_unknown_task_ends_after_a_while() -> None:
    early, late = job_due_since(50), job_due_since(70)
    assert not end_if_unknown(early.pk, task_name="gone.task", worker="w1")
    assert end_if_unknown(late.pk, task_name="gone.task", worker="w1")
    early.refresh_from_db()
    late.refresh_from_db()
    assert (early.status, late.status, late.exception_type) == ("SCHEDULED", "EXCEPTION", "UnknownTask")
    failure = exception_of(late)
    assert failure is not None
    assert "gone.task" in failure["message"]


def test_a_message_of_another_task_is_not_its_end() -> None:
    job = job_due_since(70)
    assert not end_if_unknown(job.pk, task_name="another.task", worker="w1")
    assert not end_if_unknown(10**6, task_name="gone.task", worker="w1")
    job.refresh_from_db()
    assert job.status == "SCHEDULED"


def test_one_that_a_newer_worker_has_run_meanwhile_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at it and its end it was claimed, and now waits for another attempt."""
    job = job_due_since(70)

    def ended(*args: Any, **options: Any) -> bool:
        assert transitions.retry(claimed(Job.objects.get(pk=job.pk)), due=3600, reason="not now")
        return cancel(*args, **options)

    cancel = transitions.cancel
    monkeypatch.setattr(transitions, "cancel", ended)
    assert not end_if_unknown(job.pk, task_name="gone.task", worker="w1")
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("SCHEDULED", 1)
