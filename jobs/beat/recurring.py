"""Recurring schedules, edited in the admin: kept in memory, and fired when they are due by the database's clock.

What is in memory is never written back; the row decides. A change of any schedule is seen at the next check.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from cnaasjobs.db.clock import database_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.background.one_by_one import OneByOne
from jobs.beat.fire import Fired, disable, fire, move_last_run
from jobs.beat.plain import PlainSender
from jobs.beat.reading import readable
from jobs.beat.recurrence import ScheduleBroken, due_time, ran_in_the_future, times_of_day

LOOK_SECONDS = 5.0  # a change in the admin takes effect within this time
_RETRY_SECONDS = 1.0
_REREAD_SECONDS = 60.0  # for those who write to the tables without the models
_NEVER_READ: Any = object()


@dataclass(slots=True)
class Entry:
    row: PeriodicTask
    due: datetime | None
    since: datetime | None  # its time of day was changed then


class Recurring:
    def __init__(self, now: Callable[[], datetime] = database_now) -> None:
        self._now = now
        self._entries: dict[int, Entry] = {}
        self._seen_change: datetime | None = _NEVER_READ
        self._looked: datetime | None = None  # the database's time
        self._reread_at = 0.0  # monotonic
        self._changed: deque[int] = deque()
        self._plain = PlainSender(self._changed.append)
        self._each = OneByOne("a recurring schedule", self._look_at, key=lambda look: look[0].row.pk)

    def step(self) -> float:
        """Fire what is due. Returns the seconds until the next check."""
        now = self._now()
        self._refresh(now)
        changed = self._each([(entry, now) for entry in self._entries.values()])
        self._looked = now
        if self._each.failed:
            return _RETRY_SECONDS
        return self._seconds_to_next(self._now() if changed else now)

    def close(self) -> None:
        self._plain.close()

    def _look_at(self, look: tuple[Entry, datetime]) -> int:
        """Do what this schedule requires now. Returns whether there was anything to do."""
        entry, now = look
        if entry.row.expires is not None and entry.row.expires <= now:
            if disable(entry.row):
                record(JobAction.EXPIRE, schedule=entry.row.name, task=entry.row.task)
        elif entry.due is None:
            return 0
        elif ran_in_the_future(entry.row, now):
            move_last_run(entry.row, last_run_at=now, date_changed=entry.row.date_changed)
        elif entry.due <= now:
            self._fire(entry, now)
        else:
            return 0
        self._reread(entry.row.pk)
        return 1

    def _fire(self, entry: Entry, now: datetime) -> None:
        if fire(entry.row, now, self._plain) is Fired.ELSEWHERE:
            record(JobAction.FIRED_ELSEWHERE, schedule=entry.row.name, task=entry.row.task)

    def _seconds_to_next(self, now: datetime) -> float:
        due = min((entry.due for entry in self._entries.values() if entry.due is not None), default=None)
        if due is None:
            return LOOK_SECONDS
        return max(0.0, min(LOOK_SECONDS, (due - now).total_seconds()))

    # --- reading ------------------------------------------------------------------------------------------------------

    def _refresh(self, now: datetime) -> None:
        change = PeriodicTasks.last_change()
        if change != self._seen_change or time.monotonic() >= self._reread_at:
            self._read_all(now)
            self._seen_change = change
            self._reread_at = time.monotonic() + _REREAD_SECONDS
        while self._changed:
            self._reread(self._changed.popleft())

    def _read_all(self, now: datetime) -> None:
        entries = {}
        for row in _readable(_enabled()):
            if self._seen_change is not _NEVER_READ and row.pk not in self._entries:
                row = self._newly_enabled(row, now)
            entries[row.pk] = self._entry(row)
        self._entries = entries

    def _reread(self, pk: int) -> None:
        rows = _readable(_enabled().filter(pk=pk))
        if rows:
            self._entries[pk] = self._entry(rows[0])
        else:
            self._entries.pop(pk, None)

    def _entry(self, row: PeriodicTask) -> Entry:
        before = self._entries.get(row.pk)
        since = None
        if before is not None:
            changed = times_of_day(row) != times_of_day(before.row)
            since = self._looked if changed else before.since
        return Entry(row, _due(row, since), since)

    def _newly_enabled(self, row: PeriodicTask, now: datetime) -> PeriodicTask:
        """A schedule that was made or enabled since the last look has missed nothing: it counts from then on.

        The admin's "enable" action leaves no time in the row, and a web server's clock may be wrong.
        """
        looked = self._looked or now
        anchor = min(max(row.date_changed, looked), now)
        keeps = row.last_run_at is None or row.last_run_at >= looked
        if keeps and abs(anchor - row.date_changed) < timedelta(seconds=1):
            return row
        move_last_run(row, last_run_at=None, date_changed=anchor)
        return _enabled().filter(pk=row.pk).first() or row


def _enabled() -> QuerySet[Any]:
    rows: QuerySet[Any] = PeriodicTask.objects.filter(enabled=True)
    return rows.select_related("interval", "crontab", "solar", "clocked")


def _readable(rows: QuerySet[Any]) -> list[PeriodicTask]:
    found = readable(rows)
    for broken in found.others:
        record(JobAction.NEVER_DUE, schedule=broken.name, task=broken.task, error=broken.why)
    return found.rows


def _due(row: PeriodicTask, since: datetime | None) -> datetime | None:
    try:
        return due_time(row, since=since)
    except ScheduleBroken as exc:
        record(JobAction.NEVER_DUE, schedule=row.name, task=row.task, error=str(exc))
        return None
