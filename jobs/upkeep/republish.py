"""Finds waiting jobs whose message is gone (broker wiped, process killed before publishing) and sends it again.

There are two signs, for rows whose message was sent a while ago: for some time the queue has held fewer messages than
there are rows that wait for one; or jobs sent later, with no higher priority, have started first. A queue that is
merely long shows neither. What is sent again counts as just sent, so a backlog is never sent twice; and a duplicate
does no harm, because its claim is refused.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet

from cnaasjobs.conf import conf
from cnaasjobs.db.built import Built
from cnaasjobs.db.clock import database_now
from cnaasjobs.db.exclusive import exclusively
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.background.budget import Budget
from jobs.broker.connection import Broker
from jobs.broker.opening import BrokerUnavailable
from jobs.broker.queues import serves_by_priority
from jobs.dispatch import sending
from jobs.models import Job
from jobs.states import Status
from jobs.waiting_rows import SENT

_BATCH = 500
_SECONDS = 5.0
_STARTED_LATELY = 200
_SAMPLES = 50


class Republish:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._broker = Broker()
        self._gaps: dict[str, deque[tuple[float, int]]] = {}  # queue -> when, how many were missing

    def step(self) -> int:
        """Send again what is missing. Returns how many messages. Does nothing while the broker is away."""
        if not _counts.rows():
            self._gaps.clear()
            return 0
        with exclusively("republish") as mine:
            if not mine:
                return 0
            overtaken = self._overtaken()
            sent = _redispatch(overtaken)
            return sent + self._missing()

    def close(self) -> None:
        self._broker.drop()

    def _missing(self) -> int:
        """Rows that wait for a message that the broker does not have."""
        sent, budget = 0, Budget(_SECONDS)
        while budget.left():
            gaps = self._sample()
            round_sent = 0
            for queue, gap in gaps.items():
                if gap > 0:
                    oldest = _waiting(queue).filter(dispatched_at__lt=_before_grace()).order_by("dispatched_at", "id")
                    round_sent += _redispatch(oldest.values_list("pk", flat=True)[: min(gap, _BATCH)])
            if not round_sent:
                break
            sent += round_sent
        return sent

    def _sample(self) -> dict[str, int]:
        """For each queue, how many messages have been missing for some time."""
        counts = dict(_counts.rows())
        self._gaps = {queue: self._gaps.get(queue, deque(maxlen=_SAMPLES)) for queue in counts}
        if not counts:
            return {}
        try:
            depths = {queue: self._broker.depth(queue) for queue in counts}
        except BrokerUnavailable as exc:
            record(JobAction.DEPTH_UNKNOWN, error=str(exc))
            self._gaps.clear()
            return {}
        now, steady = self._clock(), {}
        grace = conf.republish_after_seconds
        for queue, waiting in counts.items():
            gaps = self._gaps[queue]
            gaps.append((now, waiting - depths[queue]))
            while len(gaps) > 1 and gaps[1][0] <= now - grace:
                gaps.popleft()
            # A gap between a commit and its publish, or a delivery and its claim, is normal; one that stays is a loss.
            steady[queue] = min(gap for _, gap in gaps) if gaps[0][0] <= now - grace else 0
        return steady

    def _overtaken(self) -> list[int]:
        """Rows sent well before another row of their queue, with no higher priority, that has already started."""
        started = Job.objects.filter(dispatched_at__isnull=False).values_list("queue", "priority", "dispatched_at")
        running = started.filter(status=Status.RUNNING.value).order_by("-id")
        ended = started.filter(finish_time__isnull=False, start_time__isnull=False).order_by("-finish_time")
        lately = [*running[:_STARTED_LATELY], *ended[:_STARTED_LATELY]]
        newest: dict[tuple[str, int], datetime] = {}
        for queue, priority, sent in lately:
            if sent is not None:
                newest[queue, priority] = max(sent, newest.get((queue, priority), sent))
        grace = timedelta(seconds=conf.republish_after_seconds)
        lost: list[int] = []
        for queue in {queue for queue, _ in newest}:
            strict = serves_by_priority(queue)
            rows = _waiting(queue).filter(dispatched_at__lt=_before_grace()).order_by("dispatched_at", "id")
            for row in rows.only("pk", "priority", "dispatched_at")[:_BATCH]:
                overtakers = (
                    when
                    for (where, priority), when in newest.items()
                    if where == queue and (priority == row.priority or (strict and priority < row.priority))
                )
                last = max(overtakers, default=None)
                if row.dispatched_at and last and last - grace > row.dispatched_at:
                    lost.append(row.pk)
        return lost


def _waiting(queue: str | None = None) -> QuerySet[Job]:
    """Rows that wait for their message to reach a worker."""
    rows = Job.objects.filter(SENT, status=Status.SCHEDULED.value)
    return rows if queue is None else rows.filter(queue=queue)


_counts = Built(lambda _: _waiting().values_list("queue").annotate(Count("pk")))


def _before_grace() -> datetime:
    return database_now() - timedelta(seconds=conf.republish_after_seconds)


def _redispatch(ids: Iterable[int]) -> int:
    chosen = list(ids)
    if not chosen:
        return 0
    sent = sending.redispatch(chosen)
    for job_id in chosen[:_BATCH]:
        record(JobAction.REPUBLISH, job_id=job_id)
    return sent
