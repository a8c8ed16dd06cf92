"""Rows of jobs as lists show them. The number of statements does not grow with the number of jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from json import JSONDecoder
from typing import Final

from django.db.models.functions import Substr
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cnaasjobs.db.clock import database_now
from console.jinja import listed
from console.reads.ended import Ended
from console.sentences import sentences_of
from jobs.models import Job, JobOutcome
from jobs.states import Status
from jobs.waiting.progress import Progress, look_by, progress_of
from jobs.waiting.reasons import in_words
from jobs.waiting.why import reasons_of

KEPT: Final = Ended[SafeString](4_000)  # of about 1 KB
_MESSAGE: Final = 2000  # characters of a stored exception that are read for its message
_BEGINS: Final = '{"message": "'


@dataclass(frozen=True, kw_only=True)
class Row:
    """One job in a list."""

    job: Job
    url: str
    now: datetime
    progress: Progress | None
    waits: list[SafeString]
    message: str  # why it is an EXCEPTION

    @property
    def look(self) -> str:
        return look_by(self.job, self.progress)

    @property
    def is_due_later(self) -> bool:
        return self.job.status == Status.SCHEDULED and self.job.scheduled_time > self.now

    @property
    def took(self) -> SafeString | str:
        """How long it ran, has been running, or how soon it is due; script keeps the last two up to date."""
        job = self.job
        if job.start_time is not None and job.finish_time is not None:
            return in_words(job.finish_time - job.start_time)
        if job.start_time is not None and job.status == Status.RUNNING:
            since = job.start_time.isoformat()
            return format_html('<span data-since="{}">{}</span>', since, in_words(self.now - job.start_time))
        if self.is_due_later:
            until, left = job.scheduled_time.isoformat(), in_words(job.scheduled_time - self.now)
            return format_html('<span data-until="{}">in {}</span>', until, left)
        return ""

    @property
    def when(self) -> datetime:
        return self.job.when


def rows_of(
    jobs: Sequence[Job], *, now: datetime | None = None, progress: Mapping[int, Progress] | None = None
) -> list[Row]:
    """Args:
    now: the database's time, if the caller has it.
    progress: how far they are, likewise.
    """
    now = now or database_now()
    progress, held = progress_of([job.pk for job in jobs]) if progress is None else progress, reasons_of(jobs, now=now)
    messages = messages_of([job.pk for job in jobs if job.status == Status.EXCEPTION])
    above = reverse("console:jobs")
    return [
        Row(
            job=job,
            url=f"{above}/{job.pk}",
            now=now,
            progress=progress.get(job.pk),
            waits=sentences_of(held[job.pk]),
            message=messages.get(job.pk, ""),
        )
        for job in jobs
    ]


def lines_of(jobs: Sequence[Job], *, now: datetime, feed: str = "", can_pick: bool, picked: bool) -> SafeString:
    """The rows as HTML. Only those that may have changed since they were last shown are rendered.

    Args:
        feed: the change feed's name, or nothing is kept.
    """
    about = (can_pick, picked, now.year)  # which is left out of times
    lines = {job.pk: line for job in jobs if (line := KEPT.get(feed, job, *about)) is not None} if feed else {}
    for row in rows_of([job for job in jobs if job.pk not in lines], now=now):
        lines[row.job.pk] = line = listed("console/row.html", row=row, can_pick=can_pick, picked=picked)
        if feed:
            KEPT.keep(line, feed, row.job, *about)
    return SafeString("".join(lines[job.pk] for job in jobs))  # nosec B703 # each line escapes its values


def messages_of(job_ids: Sequence[int]) -> dict[int, str]:
    """Why these jobs ended, or the beginning of the reason. The traceback that follows may be long, and is not read."""
    if not job_ids:
        return {}
    starts = JobOutcome.objects.filter(pk__in=job_ids).annotate(start=Substr("exception", 1, _MESSAGE))
    return {job_id: _message(start or "") for job_id, start in starts.values_list("pk", "start")}


def _message(start: str) -> str:
    if not start.startswith(_BEGINS):
        return ""
    for text in (start, start.rstrip("\\") + '"'):  # the second text: for one that was cut off within the message
        try:
            return str(JSONDecoder().raw_decode(text, len(_BEGINS) - 1)[0])
        except ValueError:
            continue
    return ""
