"""A job that a person starts by the name of its function."""

from collections.abc import Mapping
from typing import Any, Unpack

from django.db import transaction

from jobs.audit import trail
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.errors import JobArgumentError
from jobs.models import Job
from jobs.schedulable import ScheduleOptions
from jobs.task import JobTask, known_tasks


def task_named(name: str) -> JobTask:
    """By its own name, or by the one that its jobs show, if no other's do.

    Raises:
        JobArgumentError: there is no such job, or more than one.
    """
    known = {full: task for full, task in sorted(known_tasks().items()) if isinstance(task, JobTask)}
    found = [known[name]] if name in known else [task for task in known.values() if task.function_name_of({}) == name]
    if not found:
        raise JobArgumentError(f"No job is called {name!r:.60}. The jobs are {', '.join(known)}")
    if len(found) > 1:
        raise JobArgumentError(f"Several jobs are called {name}: {', '.join(task.name for task in found)}")
    return found[0]


def start(task: JobTask, arguments: Mapping[str, Any], *, by: trail.By, **options: Unpack[ScheduleOptions]) -> Job:
    """Schedule it for somebody who may start everything. Raises JobArgumentError."""
    with_starter: ScheduleOptions = {**options, "scheduled_by": by.who}
    with transaction.atomic():
        job = scheduling.schedule(task, arguments, **with_starter)
        trail.add(Deed.SCHEDULED, who=by.who, origin=by.origin, job_id=job.pk, detail=job.function_name)
    return job
