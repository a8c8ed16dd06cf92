"""The milestones of a job that its row forgets, each written with the transition it belongs to, in its transaction.

The job's row says when it was due, started and ended, at no cost. A milestone has its own row if the job's row has no
place for it: the time of the POST, a wait for a lock, a worker that does not know its task, the attempts before the
last one.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import F, TextField, Value
from django.db.models.functions import Coalesce

from cnaasjobs.db.built import Built
from cnaasjobs.db.clock import DatabaseNow, database_now
from jobs.models import Job, JobApproval, JobMilestone
from jobs.states import Milestone

_KEPT: Final = Built(
    lambda job_id: JobMilestone.objects.filter(job_id=job_id).order_by("id").values_list("time", "milestone", "detail")
)


class Reached(NamedTuple):
    """A milestone, and when the job reached it."""

    time: datetime
    milestone: Milestone
    detail: str


def add(job_id: int, milestone: Milestone, detail: str = "") -> None:
    JobMilestone.objects.create(job_id=job_id, milestone=milestone.value, time=DatabaseNow(), detail=detail)


def decided(job_id: int, verdict: str, *, by: str, comment: str) -> None:
    """The job does not wait for approval any more."""
    JobApproval.objects.filter(pk=job_id, verdict="").update(
        verdict=verdict, by=by[:255], comment=comment[:255], decided_at=DatabaseNow()
    )


def attempt_over(job_id: int, milestone: Milestone, detail: str = "") -> None:
    """Keep the milestones of an attempt that is over. Call this before the transaction clears them in the job's row."""
    attempt = Job.objects.filter(pk=job_id, start_time__isnull=False).values_list(
        "scheduled_time", "start_time", Coalesce(F("worker"), Value(""), output_field=TextField())
    )
    for due, started, worker in attempt:
        JobMilestone.objects.bulk_create(
            [
                JobMilestone(job_id=job_id, milestone=Milestone.DUE.value, time=due),
                JobMilestone(job_id=job_id, milestone=Milestone.STARTED.value, time=started, detail=worker),
                JobMilestone(job_id=job_id, milestone=milestone.value, time=database_now(), detail=detail),
            ]
        )


def last_kept(job_id: int) -> Reached | None:
    """The last of the milestones with rows of their own."""
    kept = _KEPT.rows(job_id)
    return Reached(kept[-1][0], Milestone(kept[-1][1]), kept[-1][2]) if kept else None


def of(job: Job) -> list[Reached]:
    """All of a job's milestones, in order: those with rows of their own, and those in its row."""
    kept = [Reached(time, Milestone(milestone), detail) for time, milestone, detail in _KEPT.rows(job.pk)]
    # Its due time is read off a moment before the row is written, so "now" is before the POST.
    return sorted([*kept, *_of_row(job)], key=lambda past: (past.milestone is not Milestone.POSTED, past.time))


def _of_row(job: Job) -> Iterable[Reached]:
    if job.finish_time is None or job.scheduled_time <= job.finish_time:  # otherwise it ended before
        yield Reached(job.scheduled_time, Milestone.DUE, "")
    if job.start_time is not None:
        yield Reached(job.start_time, Milestone.STARTED, job.worker or "")
    if job.finish_time is not None:
        yield Reached(job.finish_time, Milestone.ENDED, job.exception_type or "")
