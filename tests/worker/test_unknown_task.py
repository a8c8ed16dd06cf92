"""A job whose task no worker knows ends after other workers have had their chance."""

from datetime import timedelta

import pytest

from cnaasjobs.db.clock import database_now
from jobs.models import Job
from jobs.testing import exception_of
from jobs.worker.unknown_task import end_if_unknown
from tests import fake_jobs

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
