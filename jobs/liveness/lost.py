"""Which processes are gone for good, so that their runs may be taken from them.

It trusts only what this process saw itself, on its own monotonic clock: a heartbeat whose counter did not change for
``CNAASJOBS_WORKER_LOST_SECONDS`` while the run was there, or a run that its living worker no longer lists. Time counts
only while the database took this process's own heartbeat: when it takes no writes, every worker looks still.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from cnaasjobs.conf import conf
from cnaasjobs.db.built import Built
from jobs.models import Heartbeat, Job, Participant
from jobs.states import Status

_MISSED_BEATS = 3  # the claim may have come during the first, and before the second was written


class HeldRun(NamedTuple):
    """A run, or one process's part in it, and the worker that has it according to the database."""

    job_id: int
    token: UUID
    worker_id: int | None
    worker: str | None
    since: datetime | None


class HeartbeatRow(NamedTuple):
    """A heartbeat as it was read."""

    id: int
    kind: str
    name: str
    pid: int
    counter: int
    last_seen: datetime
    stopped_at: datetime | None
    run_tokens: str


@dataclass
class _Sight:
    """A heartbeat as this process saw it."""

    row: HeartbeatRow
    tokens: frozenset[str]
    silent: float = 0.0  # counted seconds

    @property
    def is_still(self) -> bool:
        return bool(self.silent >= conf.worker_lost_seconds)


@dataclass
class _Missing:
    """A run that its worker did not list."""

    first: int  # the worker's counter then
    seen: set[int] = field(default_factory=set)


class Lost:
    def __init__(self, own_heartbeat: Callable[[], int | None], clock: Callable[[], float] = time.monotonic) -> None:
        """``own_heartbeat`` names the heartbeat row of this process, None until it has one."""
        self._own_heartbeat = own_heartbeat
        self._clock = clock
        self._sights: dict[int, _Sight] = {}
        self._missing: dict[UUID, _Missing] = {}
        self._orphans: dict[UUID, float] = {}  # runs of no known worker: counted seconds
        self._ages: dict[UUID, float] = {}  # of every run: seconds that count since it was first seen
        self._counted_at: float | None = None
        self._own_counter: int | None = None
        self._seconds = 0.0  # counted, between the last two looks

    def look(self) -> None:
        """Read the heartbeats. What is asked of them afterwards is judged by this look and those before it."""
        try:
            self._seconds = self._look()
        except BaseException:
            self._counted_at = None  # time until the next look does not count
            raise

    def runs(self, running: Sequence[HeldRun]) -> list[tuple[HeldRun, str]]:
        """Which of these runs are lost, and why, in words.

        Read ``running`` from the database after the look: a run that has left its worker's heartbeat had ended in the
        database before.
        """
        tokens = {held.token for held in running}
        self._ages = {token: self._ages.get(token, -self._seconds) + self._seconds for token in tokens}
        lost = [(held, why) for held in running if (why := self._why(held))]
        self._missing = {token: seen for token, seen in self._missing.items() if token in tokens}
        self._orphans = {token: silent for token, silent in self._orphans.items() if token in tokens}
        return lost

    def processes(self) -> list[HeartbeatRow]:
        """The heartbeats of processes that are gone and not marked as stopped yet."""
        return [sight.row for sight in self._sights.values() if sight.row.stopped_at is None and sight.is_still]

    def stopped_with_runs(self) -> list[int]:
        """The ids of heartbeats that are marked as stopped although the database still has a run of theirs."""
        return [pk for pk, sight in self._sights.items() if sight.row.stopped_at is not None]

    # --- looking ------------------------------------------------------------------------------------------------------

    def _look(self) -> float:
        rows = [HeartbeatRow(*row) for row in _beats.rows()]
        own = next((row.counter for row in rows if row.id == self._own_heartbeat()), None)
        if own is None or own == self._own_counter:
            return 0.0  # nothing was learnt about anybody
        seconds = self._since_counted()
        self._own_counter = own
        before, self._sights = self._sights, {}
        for row in rows:
            known = before.get(row.id)
            if known is not None and known.row.counter == row.counter:
                self._sights[row.id] = _Sight(row, known.tokens, known.silent + seconds)
            else:
                self._sights[row.id] = _Sight(row, frozenset(json.loads(row.run_tokens)))
        return seconds

    def _since_counted(self) -> float:
        before, self._counted_at = self._counted_at, self._clock()
        elapsed = 0.0 if before is None else self._counted_at - before
        # This process, or the database, may have been frozen in between; the workers then get the time to catch up.
        longest = 3 * max(conf.heartbeat_seconds, conf.upkeep_seconds)
        return float(min(elapsed, longest, conf.worker_lost_seconds / 3))

    # --- judging ------------------------------------------------------------------------------------------------------

    def _why(self, held: HeldRun) -> str | None:
        """The reason in words, or None while the run may well be alive."""
        token = held.token
        if any(str(token) in sight.tokens and not sight.is_still for sight in self._sights.values()):
            self._missing.pop(token, None)
            self._orphans.pop(token, None)
            return None
        sight = None if held.worker_id is None else self._sights.get(held.worker_id)
        if sight is None:
            self._orphans[token] = self._orphans.get(token, -self._seconds) + self._seconds
            if self._orphans[token] < conf.worker_lost_seconds:
                return None
            started = _utc(held.since)
            return f"worker {held.worker or 'unknown'} is gone, it has no heartbeat; it started this job at {started}"
        seen = f"{sight.row.name} (pid {sight.row.pid}), last seen at {_utc(sight.row.last_seen)}"
        if sight.is_still:
            # One that was frozen may claim before it beats again: that run gets the same time.
            return f"worker {seen}, is gone" if self._ages[token] >= conf.worker_lost_seconds else None
        missing = self._missing.setdefault(token, _Missing(first=sight.row.counter))
        missing.seen.add(sight.row.counter)
        if len(missing.seen) >= _MISSED_BEATS and sight.row.counter >= missing.first + _MISSED_BEATS:
            return f"worker {seen}, no longer runs it: its process is gone"
        return None


def _to_see(_: int) -> QuerySet[Heartbeat, tuple[Any, ...]]:
    """Of processes that have not stopped, and of those that still have a run."""
    of_running = Job.objects.filter(status=Status.RUNNING.value).values("worker_id")
    of_participants = Participant.objects.filter(job__status=Status.RUNNING.value).values("worker_id")
    with_runs = Q(pk__in=of_running) | Q(pk__in=of_participants)
    return Heartbeat.objects.filter(Q(stopped_at__isnull=True) | with_runs).values_list(*HeartbeatRow._fields)


_beats = Built(_to_see)


def _utc(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when else "an unknown time"
