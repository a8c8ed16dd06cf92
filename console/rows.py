"""Rows of jobs as lists show them. The number of statements does not grow with the number of jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from json import JSONDecoder
from typing import Final

from django.db.models.functions import Substr
from django.utils.safestring import SafeString

from cnaasjobs.db.clock import database_now
from console.sentences import sentences_of
from jobs.models import Job, JobOutcome
from jobs.states import Status
from jobs.waiting.look import reasons_of
from jobs.waiting.progress import Progress, progress_of

_MESSAGE: Final = 2000  # characters of a stored exception that are read for its message
_BEGINS: Final = '{"message": "'


@dataclass(frozen=True, kw_only=True)
class Row:
    """One job in a list."""

    job: Job
    now: datetime
    progress: Progress | None
    waits: list[SafeString]
    message: str  # why it is an EXCEPTION

    @property
    def is_due_later(self) -> bool:
        return self.job.status == Status.SCHEDULED and self.job.scheduled_time > self.now

    @property
    def shown_time(self) -> datetime:
        return self.job.start_time or self.job.scheduled_time


def rows_of(jobs: Sequence[Job]) -> list[Row]:
    now, progress, held = database_now(), progress_of([job.pk for job in jobs]), reasons_of(jobs)
    messages = messages_of([job.pk for job in jobs if job.status == Status.EXCEPTION])
    return [
        Row(
            job=job,
            now=now,
            progress=progress.get(job.pk),
            waits=sentences_of(held[job.pk]),
            message=messages.get(job.pk, ""),
        )
        for job in jobs
    ]


def messages_of(job_ids: Sequence[int]) -> dict[int, str]:
    """Why these jobs ended, or the beginning of it. A traceback behind it may be long, and is not read."""
    if not job_ids:
        return {}
    starts = JobOutcome.objects.filter(pk__in=job_ids).annotate(start=Substr("exception", 1, _MESSAGE))
    return {job_id: _message(start or "") for job_id, start in starts.values_list("pk", "start")}


def _message(start: str) -> str:
    if not start.startswith(_BEGINS):
        return ""
    for text in (start, start.rstrip("\\") + '"'):  # the second: it was cut inside of the message
        try:
            return str(JSONDecoder().raw_decode(text, len(_BEGINS) - 1)[0])
        except ValueError:
            continue
    return ""
