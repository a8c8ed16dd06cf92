"""What a person at the shell changes. Each is in the audit trail, in the name of the shell's user."""

import json
from typing import Any

from celery import current_app
from django.db import transaction

from jobs.audit import trail
from jobs.audit.accounts import COMMAND_LINE, operator
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.errors import JobError, JobNotFound
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.states import TERMINAL
from jobs.task import JobTask
from locks import service as locks


class CannotRunAgain(JobError):
    """It has not ended, or this process does not know its task."""


def abort(job_id: int, *, reason: str) -> Job:
    """Raises JobNotFound, JobNotAbortable."""
    who = operator()
    with transaction.atomic():
        job = transitions.abort(job_id, reason=reason, by=who)
        trail.add(Deed.ABORTED, who=who, origin=COMMAND_LINE, job_id=job_id, detail=reason)
    return job


def rerun(job_id: int, *, comment: str | None) -> Job:
    """A new job with the arguments of one that has ended. What is left out of its texts is the old one's.

    Raises:
        JobNotFound, CannotRunAgain, JobArgumentError.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise JobNotFound(job_id)
    if job.status not in TERMINAL:
        raise CannotRunAgain(f"Job id {job_id} is in state {job.status}; it can be run again when it has ended")
    current_app.loader.import_default_modules()
    task = current_app.tasks.get(job.task_name)
    if not isinstance(task, JobTask):
        raise CannotRunAgain(f"Nobody here knows the task {job.task_name} of job {job_id}")
    arguments: dict[str, Any] = json.loads(job.start_arguments)
    who = operator()
    with transaction.atomic():
        again = scheduling.schedule(
            task,
            arguments,
            scheduled_by=who,
            comment=job.comment if comment is None else comment,
            ticket_ref=job.ticket_ref,
            queue=job.queue,
            priority=job.priority,
        )
        detail = f"{again.function_name}: job {job_id} again"
        trail.add(Deed.SCHEDULED, who=who, origin=COMMAND_LINE, job_id=again.pk, detail=detail)
    return again


def clear(name: str) -> int:
    """The job that held the lock. Raises LockNotFound."""
    return locks.clear(name, who=operator(), origin=COMMAND_LINE).holder_id
