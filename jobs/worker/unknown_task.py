"""Ends a job whose task no worker knows. Runs in the worker's main process, where the gate refuses its message.

While old and new workers run side by side, an old one may refuse what a new one knows. So the job gets some time: its
message is gone, is found missing and is sent again. Only a refusal after that time ends it.
"""

from datetime import timedelta

from django.db.models import Q

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.states import Status


def end_if_unknown(job_id: int, *, task_name: str, worker: str) -> bool:
    """SCHEDULED → EXCEPTION, if the job of this task has been due for long enough. Returns whether it was ended."""
    patience = timedelta(seconds=conf.unknown_task_seconds)
    job = Job.objects.filter(pk=job_id, task_name=task_name, status=Status.SCHEDULED.value).first()
    if job is None or job.scheduled_time > database_now() - patience:
        return False
    failure = Failure(
        type=EndReason.UNKNOWN_TASK, message=f"no worker knows the task {task_name}; {worker} refused it last"
    )
    # A newer worker may have run it since it was read: then it waits for its next attempt.
    return transitions.cancel(job_id, failure, only=Q(attempt=job.attempt))
