"""One run of a job, as the process that runs its body knows it, and what the database says of it."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import OuterRef, Subquery

from jobs.models import Job
from jobs.states import Status
from locks.models import Lock


@dataclass(frozen=True, kw_only=True)
class Run:
    """A claimed job: what the body needs to know, and the tokens that prove it is ours."""

    job_id: int
    run_token: UUID
    worker: str
    attempt: int
    retries: int
    start_arguments: str
    lock_name: str | None
    fence: int | None
    scheduled_by: str | None
    comment: str | None
    ticket_ref: str | None


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A claim that was not granted, and why; nothing needs to be done about it."""

    job_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a safe point must know: does the run still own its row, and its lock?"""

    run_token: UUID | None
    abort_reason: str | None
    fence: int | None  # the fencing token under which this job holds its lock now


def standing_of(job_id: int) -> Standing | None:
    """Read afresh, one query. None if the job is gone."""
    held = Lock.objects.filter(name=OuterRef("lock_name"), holder_id=OuterRef("pk")).values("fence")
    row = (
        Job.objects.filter(pk=job_id)
        .annotate(held_fence=Subquery(held))
        .values_list("run_token", "abort_reason", "held_fence")
        .first()
    )
    return None if row is None else Standing(*row)


def write_progress(job_id: int, run_token: UUID, devices: str) -> None:
    """Show the finished devices (a JSON list) of a run that is still going on."""
    Job.objects.filter(pk=job_id, run_token=run_token, status=Status.RUNNING.value).update(finished_devices=devices)
