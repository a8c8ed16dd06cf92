"""One run of a job, as the process that runs its body knows it, and what the database says about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self, cast
from uuid import UUID

from jobs.models import Job


@dataclass(frozen=True, kw_only=True)
class Run:
    """A claimed job: what the body needs to know, and the tokens that prove that the run is ours."""

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
    start_time: datetime
    author_id: int | None = None

    @classmethod
    def of(cls, job: Job, *, run_token: UUID | None = None, worker: str | None = None) -> Self:
        """The run that a RUNNING job's row describes.

        A process that helps with it gives its own token and worker.
        """
        return cls(
            job_id=job.pk,
            run_token=cast("UUID", run_token or job.run_token),
            worker=worker or job.worker or "",
            attempt=job.attempt,
            retries=job.retries,
            start_arguments=job.start_arguments,
            lock_name=job.lock_name,
            fence=job.fence,
            scheduled_by=job.scheduled_by,
            comment=job.comment,
            ticket_ref=job.ticket_ref,
            author_id=job.author_id,
            start_time=cast("datetime", job.start_time),
        )


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A claim that was not granted, and why. Nothing needs to be done about it."""

    job_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a safe point must know: does the run still own its row and its lock?"""

    run_token: UUID | None
    abort_reason: str | None
    fence: int | None  # the fencing token under which this job holds its lock now
