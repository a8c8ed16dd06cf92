"""Ends a job whose task no worker knows. Runs in the worker's main process, where Celery refuses such a message.

While old and new workers run side by side an old one may refuse what a new one knows. So the job gets a while: its
message is gone, is found missing, and sent again; only a refusal after that ends it.
"""

from datetime import timedelta
from typing import Any

from celery import signals
from django.db import Error

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.states import Status


@signals.task_unknown.connect(dispatch_uid="jobs.unknown_task")
def refused(sender: Any, name: str, message: Any, **_: Any) -> None:
    try:
        job_id = _job_of(message)
        if job_id is not None:
            end_if_unknown(job_id, task_name=name, worker=getattr(sender, "hostname", "") or "")
    except Error as exc:
        record(JobAction.UNKNOWN_TASK, exc=exc, task=name)


def end_if_unknown(job_id: int, *, task_name: str, worker: str) -> bool:
    """SCHEDULED → EXCEPTION, if the job of this task has been due for long enough. Says whether it ended."""
    patience = timedelta(seconds=conf.unknown_task_seconds)
    job = Job.objects.filter(pk=job_id, task_name=task_name, status=Status.SCHEDULED.value).first()
    if job is None or job.scheduled_time > database_now() - patience:
        return False
    failure = Failure(
        type=EndReason.UNKNOWN_TASK, message=f"no worker knows the task {task_name}; {worker} refused it last"
    )
    return transitions.cancel(job_id, failure)


def _job_of(message: Any) -> int | None:
    try:
        args, _kwargs, _embed = message.payload
        job_id = args[0]
    except Exception:  # noqa: BLE001  a message of somebody else's, in whatever form
        return None
    return job_id if isinstance(job_id, int) else None
