"""What starts a job when no person asks for it: code in a worker.

A body may start another job, and so may any Celery task. Such a job has no user; its row and the audit trail name the
job or task that started it, so that somebody is responsible for everything that runs.
"""

from collections.abc import Iterable
from typing import Final

from celery import current_task

from jobs.audit import trail
from jobs.deeds import Deed
from jobs.models import Job

ORIGIN: Final = "worker"


def started_here() -> str | None:
    """``job 41``, or a task's name, while this process runs one; None elsewhere."""
    request = current_task.request if current_task else None
    if request is None or request.called_directly:
        return None
    execution = getattr(request, "job", None)
    return str(request.task) if execution is None else f"job {execution.run.job_id}"


def job_here() -> int | None:
    """The id of the job that this process runs; None elsewhere."""
    execution = getattr(current_task.request, "job", None) if current_task else None
    found: int | None = None if execution is None else execution.run.job_id
    return found


def add_to_trail(rows: Iterable[Job], starter: str) -> None:
    """Record in the audit trail who started them. Call it in the transaction that inserts them."""
    for row in rows:
        asked_for = "" if row.scheduled_by in (None, starter) else f", for {row.scheduled_by}"
        trail.add(Deed.SCHEDULED, who=starter, origin=ORIGIN, job_id=row.pk, detail=f"{row.function_name}{asked_for}")
