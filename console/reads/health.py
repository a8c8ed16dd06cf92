"""Whether all is well, in one line: everything that is not, each with the page that shows more of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from cnaasjobs.db.clock import database_now
from jobs.end_reasons import EndReason
from jobs.liveness.life import Life, alive, with_life
from jobs.models import Heartbeat, Job
from jobs.states import Status
from jobs.upkeep.unserved import unserved
from jobs.waiting.progress import progress_of
from jobs.waiting.reasons import in_words

RECENT: Final = timedelta(hours=1)
LATE: Final = timedelta(seconds=60)  # a due job's message is sent within a second
COUNTED: Final = 1_000
LAST: Final = 5  # jobs whose devices are looked at

Can = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    words: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Health:
    troubles: list[Trouble]
    words: str  # what there is: workers, Beats, jobs that run and wait

    @property
    def is_well(self) -> bool:
        return not self.troubles


def health(can: Can) -> Health:
    """Only of what this user may see."""
    now = database_now()
    sees_jobs, sees_workers = can("jobs.view_job"), can("jobs.view_heartbeat")
    troubles = [*(_processes() if sees_workers else ()), *(_jobs(now) if sees_jobs else ())]
    counts = [*(_alive() if sees_workers else ()), *(_busy() if sees_jobs else ())]
    return Health(troubles=troubles, words=", ".join(counts))


def search_url(line: str) -> str:
    return f"{reverse('console:jobs')}?{urlencode({'q': line})}"


def _processes() -> Iterator[Trouble]:
    url = reverse("console:workers")
    if not alive("worker").exists():
        yield Trouble(words="No worker is alive: no job can start", url=url)
    if not alive("beat").exists():
        yield Trouble(words="No Beat is alive: jobs due later and recurring ones do not start", url=url)
    silent = _counted(Heartbeat.objects.filter(with_life(Life.SILENT)))
    if silent:
        yield Trouble(words=f"{_many(silent, 'worker or Beat is', 'workers or Beats are')} silent", url=url)


def _jobs(now: datetime) -> Iterator[Trouble]:
    for queue in unserved():
        waiting = _many(queue.jobs, "job waits", "jobs wait")
        words = f"{waiting} on queue {queue.queue}, which no worker serves"
        yield Trouble(words=words, url=reverse("console:job", args=[queue.oldest_job_id]))
    late = Job.objects.filter(status=Status.SCHEDULED.value, dispatched_at__isnull=True, parked=False)
    oldest = late.filter(scheduled_time__lt=now - LATE).order_by("scheduled_time", "id").first()
    if oldest is not None:
        words = f"Job {oldest.pk} has been due for {in_words(now - oldest.scheduled_time)} and has not been sent"
        yield Trouble(words=words, url=reverse("console:job", args=[oldest.pk]))
    yield from _ended_badly(now)


def _ended_badly(now: datetime) -> Iterator[Trouble]:
    """Among the newest only: an hour may have had any number of jobs."""
    failed = Job.objects.filter(status=Status.EXCEPTION.value).order_by("-id")
    newest = failed.values_list("finish_time", "exception_type")[:COUNTED]
    count = sum(
        finish is not None and finish >= now - RECENT and EndReason.of(reason) is not EndReason.JOB_ABORTED
        for finish, reason in newest
    )
    if count:
        words = f"{_many(count, 'job', 'jobs')} ended with an exception in the last hour"
        yield Trouble(words=words, url=search_url("status:exception since:1h"))
    ended = Job.objects.filter(finish_time__gte=now - RECENT).order_by("-finish_time")
    last = list(ended.values_list("id", flat=True)[:LAST])
    for job_id, progress in progress_of(last).items():
        if progress.failed:
            words = f"{progress.failed} of {_many(progress.total or 0, 'device', 'devices')} failed in job {job_id}"
            yield Trouble(words=words, url=reverse("console:job", args=[job_id]))


def _alive() -> Iterator[str]:
    yield _many(_counted(alive("worker")), "worker", "workers")
    yield _many(_counted(alive("beat")), "Beat", "Beats")


def _busy() -> Iterator[str]:
    yield _many(_counted(Job.objects.filter(status=Status.RUNNING.value)), "job runs", "jobs run")


def _counted(rows: QuerySet[Any]) -> int:
    return rows.order_by()[:COUNTED].count()


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,}{'+' if count >= COUNTED else ''} {one if count == 1 else more}"
