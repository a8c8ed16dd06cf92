"""The steps of a job's life that its row forgets, each written with the transition it belongs to, in its transaction.

The job's row says when it was due, started and ended, at no cost. A step has its own row if the job's row has no place
for it: the time of the POST, a wait for a lock, a worker that does not know its task, the attempts before the last one.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import F, TextField, Value
from django.db.models.functions import Coalesce

from cnaasjobs.db.built import Built
from cnaasjobs.db.clock import DatabaseNow, database_now
from jobs.models import Job, JobApproval, JobStep
from jobs.states import Step

_KEPT: Final = Built(
    lambda job_id: JobStep.objects.filter(job_id=job_id).order_by("id").values_list("time", "step", "detail")
)


class PastStep(NamedTuple):
    """A step of a job's life that was taken."""

    time: datetime
    step: Step
    detail: str


def add(job_id: int, step: Step, detail: str = "") -> None:
    JobStep.objects.create(job_id=job_id, step=step.value, time=DatabaseNow(), detail=detail)


def decided(job_id: int, verdict: str, *, by: str, comment: str) -> None:
    """The job does not wait for approval any more."""
    JobApproval.objects.filter(pk=job_id, verdict="").update(
        verdict=verdict, by=by[:255], comment=comment[:255], decided_at=DatabaseNow()
    )


def attempt_over(job_id: int, step: Step, detail: str = "") -> None:
    """Keep the steps of an attempt that is over. Call this before the transaction clears them from the job's row."""
    attempt = Job.objects.filter(pk=job_id, start_time__isnull=False).values_list(
        "scheduled_time", "start_time", Coalesce(F("worker"), Value(""), output_field=TextField())
    )
    for due, started, worker in attempt:
        JobStep.objects.bulk_create(
            [
                JobStep(job_id=job_id, step=Step.DUE.value, time=due),
                JobStep(job_id=job_id, step=Step.STARTED.value, time=started, detail=worker),
                JobStep(job_id=job_id, step=step.value, time=database_now(), detail=detail),
            ]
        )


def last_kept(job_id: int) -> PastStep | None:
    """The last of the steps with rows of their own."""
    kept = _KEPT.rows(job_id)
    return PastStep(kept[-1][0], Step(kept[-1][1]), kept[-1][2]) if kept else None


def of(job: Job) -> list[PastStep]:
    """All of a job's steps, in order: those with rows of their own, and those in its row."""
    kept = [PastStep(time, Step(step), detail) for time, step, detail in _KEPT.rows(job.pk)]
    return sorted([*kept, *_of_row(job)], key=lambda past: past.time)


def _of_row(job: Job) -> Iterable[PastStep]:
    if job.finish_time is None or job.scheduled_time <= job.finish_time:  # otherwise it ended before
        yield PastStep(job.scheduled_time, Step.DUE, "")
    if job.start_time is not None:
        yield PastStep(job.start_time, Step.STARTED, job.worker or "")
    if job.finish_time is not None:
        yield PastStep(job.finish_time, Step.ENDED, job.exception_type or "")
