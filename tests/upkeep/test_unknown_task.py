"""A job whose task no worker knows ends, once other workers had their chance."""

from datetime import timedelta
from typing import Any

import pytest
from celery import signals

from cnaasjobs.db.clock import database_now
from jobs.models import Job
from jobs.testing import exception_of
from tests import fake_jobs

pytestmark = pytest.mark.django_db(transaction=True)


class Message:
    """What Celery's consumer hands over."""

    def __init__(self, payload: Any) -> None:
        self.payload = payload


def refuse(job: Job, *, task_name: str = "gone.task", payload: Any = None) -> None:
    message = Message(payload if payload is not None else ((job.pk,), {}, {}))
    signals.task_unknown.send(sender=None, message=message, exc=KeyError(task_name), name=task_name, id="x")


def job_due_since(seconds: float) -> Job:
    job = fake_jobs.nothing.schedule()
    due = database_now() - timedelta(seconds=seconds)
    Job.objects.filter(pk=job.pk).update(task_name="gone.task", scheduled_time=due)
    return job


def test_a_job_of_an_unknown_task_ends_after_a_while() -> None:
    early, late = job_due_since(50), job_due_since(70)
    refuse(early)
    refuse(late)
    early.refresh_from_db()
    late.refresh_from_db()
    assert (early.status, late.status, late.exception_type) == ("SCHEDULED", "EXCEPTION", "UnknownTask")
    failure = exception_of(late)
    assert failure is not None
    assert "gone.task" in failure["message"]


@pytest.mark.parametrize("payload", ["x", ((), {}, {}), (("text",), {}, {}), ((10**6,), {}, {})])
def test_other_messages_are_nobody_s_end(payload: Any) -> None:
    job = job_due_since(70)
    refuse(job, payload=payload)
    refuse(job, task_name="another.task")
    job.refresh_from_db()
    assert job.status == "SCHEDULED"
