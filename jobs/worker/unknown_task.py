"""Ends a job whose task no worker knows. Runs in the worker's main process, where the gate refuses its message.

While old and new workers run side by side, an old one may refuse what a new one knows. So the job gets some time from
its first refusal on: its message is gone, is found missing and is sent again. Only a refusal after that time ends it,
and only if nothing else has happened to it meanwhile: a worker that parked or started it knows its task.
"""

from datetime import timedelta

from django.db.models import Q

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import milestones, transitions
from jobs.models import Job
from jobs.states import Milestone, Status
from jobs.waiting_rows import SENT


def end_if_unknown(job_id: int, *, task_name: str, worker: str) -> bool:
    """SCHEDULED → EXCEPTION, if the job of this task was refused for long enough. Returns whether it was ended."""
    now = database_now()
    waiting = Job.objects.filter(SENT, pk=job_id, task_name=task_name, status=Status.SCHEDULED.value)
    job = waiting.filter(scheduled_time__lte=now).first()
    if job is None:
        return False
    last = milestones.last_kept(job_id)
    since = now if last is None or last.milestone != Milestone.REFUSED else last.time
    if since == now:
        milestones.add(job_id, Milestone.REFUSED, f"worker {worker} does not know the task {task_name}")
    if now - since < timedelta(seconds=conf.unknown_task_seconds):
        return False
    failure = Failure(
        type=EndReason.UNKNOWN_TASK, message=f"no worker knows the task {task_name}; {worker} refused it last"
    )
    # A newer worker may have run it since it was read: then it waits for its next attempt.
    return transitions.cancel(job_id, failure, only=Q(attempt=job.attempt))
