"""Helpers for people who write jobs, and for their tests; the platform's own tests use them too."""

import json
from typing import Any
from uuid import uuid4

from celery import current_app
from celery.app.trace import build_tracer

from cnaasjobs.db.clock import DatabaseNow
from jobs.dispatch import scheduling
from jobs.lifecycle import approval
from jobs.models import Job
from jobs.sql import store
from jobs.states import Status
from jobs.task import JobTask


def perform_job(task: JobTask, /, **kwargs: Any) -> Job:
    """Schedule a job and run it here and now: claim, body and finish, as in a worker, but without a broker.

    Returns the row as it stands afterwards: FINISHED, EXCEPTION, or SCHEDULED if it asked for a retry, waits for
    approval or was parked.
    """
    return perform(scheduling.schedule(task, kwargs))


def perform(job: Job, *, early: bool = False) -> Job:
    """Run a scheduled job here and now, if it is due.

    Args:
        early: run it although it is not due: after a retry with a countdown, or scheduled ``at`` a time.
    """
    if early:
        Job.objects.filter(pk=job.pk).update(scheduled_time=DatabaseNow())
    task = current_app.tasks[job.task_name]
    message_id = str(uuid4())
    build_tracer(task.name, task, app=current_app)(message_id, (job.pk,), {}, {"id": message_id, "hostname": "testing"})
    job.refresh_from_db()
    return job


def approve(job: Job) -> Job:
    """A second person approves it. AssertionError if it does not wait for that."""
    if not approval.approve(job.pk, by="a second person"):
        raise AssertionError(f"job {job.pk} ({job.status}) does not wait for approval")
    job.refresh_from_db()
    return job


def result_of(job: Job) -> Any:
    """The stored result of a finished job, parsed; None if it has none."""
    results = [outcome.result for outcome in store().outcomes([job.pk]) if outcome.result is not None]
    return json.loads(results[0]) if results else None


def exception_of(job: Job) -> dict[str, Any] | None:
    """The stored exception of a job that did not finish, parsed."""
    outcome = getattr(job, "outcome", None)
    return json.loads(outcome.exception) if outcome is not None and outcome.exception is not None else None


def assert_scheduled(task: JobTask, /, **kwargs: Any) -> Job:
    """The newest waiting job of this task whose arguments include these; AssertionError if there is none."""
    for job in Job.objects.filter(status=Status.SCHEDULED.value, task_name=task.name).order_by("-id"):
        arguments = json.loads(job.start_arguments)
        if all(arguments.get(name) == value for name, value in kwargs.items()):
            return job
    raise AssertionError(f"no scheduled {task.name} with {kwargs}")
