"""A recurring schedule run now, once, because a person asks. The schedule itself does not change."""

from typing import Any

from celery import current_app
from django.db import transaction
from django_celery_beat.models import PeriodicTask

from jobs import follow_ups
from jobs.audit import trail
from jobs.beat.fire import arguments_of
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.errors import JobArgumentError
from jobs.models import Job
from jobs.operating.again import MadeMeanwhile
from jobs.operating.approving import keep_maker
from jobs.rights.decide import author_of, require_start
from jobs.schedulable import HIGHEST_PRIORITY
from jobs.task import JobTask

__all__ = ["function_name_of", "proposed", "run", "task_of"]


def task_of(name: str) -> JobTask:
    """The job that a schedule starts. Raises JobArgumentError: it starts none."""
    current_app.loader.import_default_modules()
    task = current_app.tasks.get(name)
    if not isinstance(task, JobTask):
        raise JobArgumentError(f"{name} is not a job of this installation, and only jobs can be run from here")
    return task


def function_name_of(name: str) -> str:
    """Of the jobs that a schedule of this task starts, without " (dry_run)"; where it starts none, of the task."""
    try:
        return task_of(name).function_name_of({})
    except JobArgumentError:
        return name.rpartition(".")[2]


def proposed(row: PeriodicTask) -> tuple[JobTask, dict[str, Any]]:
    """The job that a schedule would start now, and the arguments that the schedule gives it.

    Raises:
        JobArgumentError: it starts no job, the arguments do not fit it (any more), or what they name is gone.
    """
    task, (args, kwargs) = task_of(row.task), arguments_of(row)
    named = task.named(args, kwargs)
    try:
        follow_ups.of(task.name).require_there(named)
    except follow_ups.CannotFollow as exc:
        raise JobArgumentError(str(exc)) from exc
    return task, named


def newest_job() -> int:
    """For the form in which a person is asked whether to run a schedule: see ``run``."""
    return Job.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def run(row: PeriodicTask, *, by: trail.By, newest: int | None = None) -> Job:
    """Schedule one job with the schedule's arguments.

    Args:
        newest: the newest job when this person was asked. None: whatever was made of the schedule since.

    Raises:
        MadeMeanwhile: somebody ran it since then, so two people would do the same without knowing.
        JobArgumentError, as ``proposed`` does.
        NotAllowed, DevicesUnknown.
    """
    task, named = proposed(row)
    if by.user is not None:
        require_start(by.user, task, named)
    comment = f"Schedule {row.name}, run now"[:255]
    with transaction.atomic():
        if newest is not None:
            _require_none_since(newest, row, comment)
        job = scheduling.schedule(
            task,
            named,
            scheduled_by=by.who,
            author_id=author_of(by.user),
            comment=comment,
            queue=row.queue or None,
            priority=None if row.priority is None else min(row.priority, HIGHEST_PRIORITY),
        )
        keep_maker(job, by)
        trail.add(Deed.SCHEDULED, who=by.who, origin=by.origin, job_id=job.pk, detail=f"schedule {row.name}")
    return job


def _require_none_since(newest: int, row: PeriodicTask, comment: str) -> None:
    # Of two at once, the second waits here until the first has committed.
    list(PeriodicTask.objects.select_for_update(no_key=True).filter(pk=row.pk).values_list("pk"))
    made = Job.objects.filter(pk__gt=newest, task_name=row.task, comment=comment).only("scheduled_by")
    if (last := made.order_by("-pk").first()) is not None:
        raise MadeMeanwhile(last)
