"""Whether all is well, in one line: whatever is not, each with the page that shows more."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.urls import reverse

from cnaasjobs.db.clock import database_now
from jobs.end_reasons import EndReason
from jobs.liveness.life import Life, with_life
from jobs.models import Heartbeat, Job
from jobs.search.counts import Counted
from jobs.states import Status
from jobs.upkeep.unserved import unserved
from jobs.waiting.progress import progress_of
from jobs.waiting.reasons import in_words

RECENT: Final = timedelta(hours=1)
LATE: Final = timedelta(seconds=60)  # a due job's message is sent within a second
NEWEST: Final = 1_000  # exceptions that are looked at
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


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The same for everybody."""

    workers: int
    beats: int
    silent: int
    of_jobs: list[Trouble]


def facts() -> Facts:
    living = Heartbeat.objects.filter(stopped_at__isnull=True)
    is_alive = with_life(Life.ALIVE)
    processes = living.aggregate(
        workers=Count("pk", filter=is_alive & Q(kind="worker")),
        beats=Count("pk", filter=is_alive & Q(kind="beat")),
        silent=Count("pk", filter=with_life(Life.SILENT)),
    )
    return Facts(**processes, of_jobs=list(_jobs(database_now())))


def health(found: Facts, jobs: Mapping[Status | None, Counted], can: Can) -> Health:
    """Only of what this user may see."""
    troubles: list[Trouble] = []
    counts: list[str] = []
    if can("jobs.view_heartbeat"):
        troubles += _processes(found)
        counts += [_many(found.workers, "worker", "workers"), _many(found.beats, "Beat", "Beats")]
    if can("jobs.view_job"):
        troubles += found.of_jobs
        running = jobs[Status.RUNNING]
        counts.append(f"{running} {'job runs' if running.number == 1 else 'jobs run'}")
    return Health(troubles=troubles, words=", ".join(counts))


def search_url(line: str) -> str:
    return f"{reverse('console:jobs')}?{urlencode({'q': line})}"


def _processes(found: Facts) -> Iterator[Trouble]:
    url = reverse("console:workers")
    if not found.workers:
        yield Trouble(words="No worker is alive: no job can start", url=url)
    if not found.beats:
        yield Trouble(words="No Beat is alive: jobs due later and recurring ones do not start", url=url)
    if found.silent:
        yield Trouble(words=f"{_many(found.silent, 'worker or Beat is', 'workers or Beats are')} silent", url=url)


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
    """Looks at the newest only: there may have been any number of jobs in an hour."""
    failed = Job.objects.filter(status=Status.EXCEPTION.value).order_by("-id")
    newest = failed.values_list("finish_time", "exception_type")[:NEWEST]
    count = sum(
        finish is not None and finish >= now - RECENT and EndReason.of(reason) is not EndReason.JOB_ABORTED
        for finish, reason in newest
    )
    if count:
        words = f"{_many(count, 'job', 'jobs')} ended with an exception in the last hour"
        if count == NEWEST:
            words = f"At least {words}"
        yield Trouble(words=words, url=search_url("status:exception since:1h"))
    ended = Job.objects.filter(finish_time__gte=now - RECENT).order_by("-finish_time")
    last = list(ended.values_list("id", flat=True)[:LAST])
    for job_id, progress in progress_of(last).items():
        if progress.failed:
            words = f"{progress.failed} of {_many(progress.total or 0, 'device', 'devices')} failed in job {job_id}"
            yield Trouble(words=words, url=reverse("console:job", args=[job_id]))


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
