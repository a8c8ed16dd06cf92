"""Finds jobs that are due on a queue that no live worker serves: for the log, and for the admin."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.liveness.life import served_queues
from jobs.models import Job
from jobs.states import Status
from jobs.waiting_rows import SENT, UNSENT

_REPEAT_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Unserved:
    """A queue that no worker serves, and what waits in it."""

    queue: str
    jobs: int
    oldest_job_id: int
    oldest_function_name: str
    due_since: datetime


def unserved() -> list[Unserved]:
    """Queues that no live worker serves, whose jobs have been due for ``CNAASJOBS_UNSERVED_AFTER_SECONDS``; by name."""
    waiting = Job.objects.filter(
        status=Status.SCHEDULED.value,
        scheduled_time__lt=DatabaseNow() - timedelta(seconds=conf.unserved_after_seconds),
    )
    served = served_queues()
    # Not those that are parked: they wait for their lock, not for a worker.
    lonely = [queue for queue in queues_with_messages() if queue not in served]
    found: dict[str, Unserved] = {}
    for part in (SENT & Q(queue__in=lonely), UNSENT & ~Q(queue__in=served)):
        queues = waiting.filter(part).values("queue").annotate(jobs=Count("pk"), due=Min("scheduled_time"))
        for row in queues.order_by("queue"):
            oldest = waiting.filter(part, queue=row["queue"], scheduled_time=row["due"]).order_by("id").first()
            if oldest is None:  # started meanwhile
                continue
            found[row["queue"]] = _merged(
                found.get(row["queue"]),
                Unserved(
                    queue=row["queue"],
                    jobs=row["jobs"],
                    oldest_job_id=oldest.pk,
                    oldest_function_name=oldest.function_name,
                    due_since=row["due"],
                ),
            )
    return [found[queue] for queue in sorted(found)]


def queues_with_messages() -> Iterator[str]:
    """Each queue once, from one of its rows in the index: a long queue that is served costs nothing."""
    waiting = Job.objects.filter(SENT, status=Status.SCHEDULED.value)
    queue: str | None = ""
    while queue is not None:
        queue = waiting.filter(queue__gt=queue).order_by("queue").values_list("queue", flat=True).first()
        if queue is not None:
            yield queue


def _merged(one: Unserved | None, other: Unserved) -> Unserved:
    if one is None:
        return other
    older = min(one, other, key=lambda each: (each.due_since, each.oldest_job_id))
    return Unserved(
        queue=one.queue,
        jobs=one.jobs + other.jobs,
        oldest_job_id=older.oldest_job_id,
        oldest_function_name=older.oldest_function_name,
        due_since=older.due_since,
    )


class Warn:
    """Logs each such queue, once in a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, float] = {}

    def step(self) -> int:
        """Returns how many queues were named."""
        found = unserved()
        self._said = {queue: when for queue, when in self._said.items() if queue in {each.queue for each in found}}
        named = 0
        for each in found:
            if self._clock() - self._said.get(each.queue, float("-inf")) < _REPEAT_SECONDS:
                continue
            self._said[each.queue] = self._clock()
            named += 1
            record(
                JobAction.UNSERVED,
                queue=each.queue,
                jobs=each.jobs,
                job_id=each.oldest_job_id,
                function=each.oldest_function_name,
                since=f"{each.due_since:%Y-%m-%d %H:%M:%S}",
            )
        return named
