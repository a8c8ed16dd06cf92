"""Runs in which nobody takes part. They wait for a process to join, and end at once if that is pointless.

A run that waits too long is ended by ``rescue``, like one whose worker is gone.
"""

from celery import current_app
from django.db.models import F, QuerySet

from jobs.background.one_by_one import OneByOne
from jobs.lifecycle import participants, transitions
from jobs.models import Job
from jobs.states import Status


def end_orphans() -> int:
    """End those that were aborted, ran too long or lost their lock. Returns how many."""
    return _end(list(orphans().select_related("fleet")))


def orphans() -> QuerySet[Job]:
    running = Job.objects.filter(status=Status.RUNNING.value, fleet__orphan__isnull=False)
    return running.filter(fleet__attempt=F("attempt"))


def longest(task_name: str) -> float | None:
    """Seconds after which nobody joins a job of this task."""
    limit: float | None = getattr(current_app.tasks.get(task_name), "longest", None)
    return limit


def _end_one(job: Job) -> int:
    failure = participants.end_of_orphan(job, longest=longest(job.task_name))
    return failure is not None and transitions.end_lost(job, failure)


_end = OneByOne("ending a run that nobody works on", _end_one, key=lambda job: job.pk)
