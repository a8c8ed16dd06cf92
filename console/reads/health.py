"""Whether all is well, in one line: each thing that is not, with the page that shows more."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from cnaasjobs.conf import conf
from jobs.models import Job
from jobs.search.counts import Counted
from jobs.search.overview import FailedDevices, Symptoms, symptoms
from jobs.states import Status
from jobs.upkeep.unserved import unserved
from jobs.waiting.reasons import in_words

RECENT: Final = timedelta(hours=1)
LATE: Final = timedelta(seconds=60)  # a due job's message is sent within a second
NEWEST: Final = 200  # exceptions that are looked at
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
    """The state of the processes and jobs, whoever asks: it is the same for everybody."""

    workers: int
    beats: int
    silent: int
    of_jobs: list[Trouble]


def facts(*, now: datetime) -> Facts:
    """``now`` is the database's time."""
    found = symptoms(
        alive=now - timedelta(seconds=conf.worker_lost_seconds),
        served=now - timedelta(seconds=conf.unserved_after_seconds),
        late=now - LATE,
        recent=now - RECENT,
        newest=NEWEST,
        last=LAST,
    )
    return Facts(
        workers=sum(process.is_alive and process.kind == "worker" for process in found.processes),
        beats=sum(process.is_alive and process.kind == "beat" for process in found.processes),
        silent=sum(not process.is_alive for process in found.processes),
        of_jobs=list(_jobs(found, now)),
    )


def health(found: Facts, jobs: Mapping[Status | None, Counted], can: Can) -> Health:
    """What is wrong, of the things that this user may see."""
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


def _jobs(found: Symptoms, now: datetime) -> Iterator[Trouble]:
    workers = [process for process in found.processes if process.kind == "worker"]
    served = {queue for worker in workers for queue in json.loads(worker.queues)}
    for queue in unserved() if not served.issuperset(found.queues) else ():
        waiting = _many(queue.jobs, "job waits", "jobs wait")
        words = f"{waiting} on queue {queue.queue}, which no worker serves"
        yield Trouble(words=words, url=reverse("console:job", args=[queue.oldest_job_id]))
    oldest = Job.objects.filter(pk=found.late_id).first() if found.late_id is not None else None
    if oldest is not None:
        words = f"Job {oldest.pk} has been due for {in_words(now - oldest.scheduled_time)} and has not been sent"
        yield Trouble(words=words, url=reverse("console:job", args=[oldest.pk]))
    if found.exceptions:  # of the newest: there may have been any number of jobs in an hour
        words = f"{_many(found.exceptions, 'job', 'jobs')} ended with an exception in the last hour"
        if found.exceptions == NEWEST:
            words = f"At least {words}"
        yield Trouble(words=words, url=search_url("status:exception since:1h"))
    yield from map(_failed_devices, sorted(found.devices))


def _failed_devices(of: FailedDevices) -> Trouble:
    words = f"{of.failed} of {_many(of.devices, 'device', 'devices')} failed in job {of.job_id}"
    return Trouble(words=words, url=reverse("console:job", args=[of.job_id]))


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
