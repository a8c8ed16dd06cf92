"""Ends the runs of workers that are gone, and marks these workers' heartbeats.

It trusts only what this process saw itself, on its own monotonic clock: a heartbeat whose counter stood still for
``CNAASJOBS_WORKER_LOST_SECONDS``, or a run that its living worker no longer lists. Time counts only while the database
took this Beat's own heartbeat: when it takes no writes, every worker looks still.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import DatabaseNow, database_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.end_reasons import EndReason
from jobs.lifecycle import transitions
from jobs.models import Heartbeat, Job
from jobs.states import Status
from jobs.upkeep.one_by_one import OneByOne

_BATCH = 200
_MISSED_BEATS = 3  # the claim may fall into the first, and into the time before the second was written
_KEEP_ROWS = timedelta(days=7)


@dataclass
class _Sight:
    """A heartbeat as this process saw it."""

    row: Heartbeat
    tokens: frozenset[str]
    silent: float = 0.0  # seconds that count


@dataclass
class _Missing:
    """A run that its worker did not list."""

    first: int  # the worker's counter then
    seen: set[int] = field(default_factory=set)


class Rescue:
    def __init__(self, own_heartbeat: Callable[[], int | None], clock: Callable[[], float] = time.monotonic) -> None:
        """``own_heartbeat`` names the heartbeat row of this process, None until it has one."""
        self._own_heartbeat = own_heartbeat
        self._clock = clock
        self._sights: dict[int, _Sight] = {}
        self._missing: dict[UUID, _Missing] = {}
        self._orphans: dict[UUID, float] = {}  # runs of no known worker: seconds that count
        self._counted_at: float | None = None
        self._own_counter: int | None = None
        # A worker that vanished may have left a transaction that holds its job's rows.
        self._end = OneByOne("rescue of a job", _lose, key=lambda lost: lost[0].pk)

    def step(self) -> int:
        """Look once, and end the runs that are lost by now. Returns how many."""
        try:
            seconds = self._look()
        except BaseException:
            self._counted_at = None  # the time until the next look does not count
            raise
        # After the heartbeats: a run that was dropped from one had ended in the database before that.
        running = list(
            Job.objects.filter(status=Status.RUNNING.value).only("id", "run_token", "worker_id", "worker", "start_time")
        )
        lost = [(job, why) for job in running if (why := self._why_lost(job, seconds))]
        tokens = {job.run_token for job in running}
        self._missing = {token: seen for token, seen in self._missing.items() if token in tokens}
        self._orphans = {token: silent for token, silent in self._orphans.items() if token in tokens}
        ended = self._end(lost)
        self._bury()
        return ended

    # --- looking ------------------------------------------------------------------------------------------------------

    def _look(self) -> float:
        """Read the heartbeats. Returns the seconds that count since the last look that did."""
        of_running = Job.objects.filter(status=Status.RUNNING.value).values("worker_id")
        rows = list(Heartbeat.objects.filter(Q(stopped_at__isnull=True) | Q(pk__in=of_running)))
        own = next((row.counter for row in rows if row.pk == self._own_heartbeat()), None)
        if own is None or own == self._own_counter:
            return 0.0  # nothing was learnt about anybody
        seconds = self._since_counted()
        self._own_counter = own
        before, self._sights = self._sights, {}
        for row in rows:
            known = before.get(row.pk)
            if known is not None and known.row.counter == row.counter:
                self._sights[row.pk] = _Sight(row, known.tokens, known.silent + seconds)
            else:
                self._sights[row.pk] = _Sight(row, frozenset(json.loads(row.run_tokens)))
        return seconds

    def _since_counted(self) -> float:
        before, self._counted_at = self._counted_at, self._clock()
        elapsed = 0.0 if before is None else self._counted_at - before
        # This process, or the database, may have been frozen in between; the workers then get the time to catch up.
        longest = 3 * max(conf.heartbeat_seconds, conf.upkeep_seconds)
        return float(min(elapsed, longest, conf.worker_lost_seconds / 3))

    def _still(self, sight: _Sight) -> bool:
        return bool(sight.silent >= conf.worker_lost_seconds)

    # --- judging ------------------------------------------------------------------------------------------------------

    def _why_lost(self, job: Job, seconds: float) -> str | None:
        """The reason in words, or None while the run may well be alive."""
        token = job.run_token
        if token is None:
            return None
        if any(str(token) in sight.tokens and not self._still(sight) for sight in self._sights.values()):
            self._missing.pop(token, None)
            self._orphans.pop(token, None)
            return None
        sight = None if job.worker_id is None else self._sights.get(job.worker_id)
        if sight is None:
            self._orphans[token] = self._orphans.get(token, -seconds) + seconds
            if self._orphans[token] < conf.worker_lost_seconds:
                return None
            started = _utc(job.start_time)
            return f"worker {job.worker or 'unknown'} is gone, it has no heartbeat; it started this job at {started}"
        seen = f"{sight.row.name} (pid {sight.row.pid}), last seen at {_utc(sight.row.last_seen)}"
        if self._still(sight):
            return f"worker {seen}, is gone"
        missing = self._missing.setdefault(token, _Missing(first=sight.row.counter))
        missing.seen.add(sight.row.counter)
        if len(missing.seen) >= _MISSED_BEATS and sight.row.counter >= missing.first + _MISSED_BEATS:
            return f"worker {seen}, no longer runs it: its process is gone"
        return None

    # --- the heartbeats' rows -----------------------------------------------------------------------------------------

    def _bury(self) -> None:
        """Mark those that are gone (one that was only frozen clears the mark itself), and delete the old."""
        for sight in self._sights.values():
            row = sight.row
            if row.stopped_at is None and self._still(sight):
                unmoved = Heartbeat.objects.filter(pk=row.pk, counter=row.counter, stopped_at__isnull=True)
                if unmoved.update(stopped_at=DatabaseNow()):
                    record(JobAction.LOST, kind=row.kind, worker=row.name, pid=row.pid)
        in_use = [pk for pk in self._sights if self._sights[pk].row.stopped_at is not None]
        old = Heartbeat.objects.filter(stopped_at__lt=database_now() - _KEEP_ROWS).exclude(pk__in=in_use)
        if ids := list(old.values_list("pk", flat=True)[:_BATCH]):
            Heartbeat.objects.filter(pk__in=ids, stopped_at__isnull=False).delete()


def _lose(lost: tuple[Job, str]) -> int:
    job, why = lost
    token = job.run_token
    return token is not None and transitions.lose(job.pk, token, type=EndReason.WORKER_LOST, message=why)


def _utc(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when else "an unknown time"
