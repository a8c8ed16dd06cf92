"""What is known about the devices of one job, and what it committed to them.

Just before its commit a device is marked uncertain; the mark is removed when the outcome is known. If the worker dies
in between, the mark stays, and only on devices that it was about to change: none is wrongly called in sync. Devices
that wait while one statement runs are marked together by the next, and what was confirmed is stored in batches: the
database is not written once per device.
"""

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import Error
from django.utils import timezone

from cnaasjobs.db.fill_in import fill_in
from cnaasjobs.db.insert import insert_many
from cnaasjobs.db.not_now import not_now
from cnaasjobs.db.unawaited import commit_unawaited
from cnaasjobs.events import record
from devices.actions import DeviceAction
from devices.models import DeviceState
from devices.sync.known import Fingerprint, Known, digest
from jobs.body.shared_read import SharedRead
from jobs.errors import JobStopped, LockLost
from jobs.task import JobContext

T = TypeVar("T")

KEPT_CHANGES = 10

_BATCH = 500
_SAVE_SECONDS = 2.0  # the longest that a commit stays unstored, so that a process that dies leaves little unknown
_MANY = 5000  # hosts in one statement


@dataclass(frozen=True, kw_only=True)
class _Committed:
    rendered_hash: str
    fingerprint: Fingerprint
    at: datetime
    changed: bool


class DeviceStates:
    """The states of the devices of one job. Any of its threads may call all methods except ``close``."""

    def __init__(self, ctx: JobContext, hosts: Sequence[str]) -> None:
        self._ctx = ctx
        self._mutex = threading.Lock()  # guards what follows; never held during a statement, which all would wait for
        self._saving = threading.Lock()  # held by the thread that stores states: one at a time
        self._to_mark: set[str] = set()
        self._mark_waiting = SharedRead(self._mark_all)
        self._marked: set[str] = set()
        self._unchanged: set[str] = set()
        self._unsaved: dict[str, _Committed] = {}
        self._saved_at = time.monotonic()
        self._known = self._with_database(lambda: _read(hosts))

    def __getitem__(self, host: str) -> Known:
        return self._known.get(host, Known())

    def about_to_commit(self, host: str, step: str, *, if_lost: str | None) -> None:
        """The safe point before a commit (see ``ctx.about_to``), which also marks the device.

        From here until ``committed`` or ``unchanged`` it is not known what the device runs. The mark comes first, so
        that whether the job may go on is asked as late as possible.

        Raises:
            JobStopped: the job may not go on; the device is unchanged.
        """
        try:
            # Otherwise nothing is known that could become wrong, or the device has an earlier job's mark.
            if host in self._known and self._known[host].uncertain_job_id is None:
                self._mark(host)
            self._ctx.about_to(step, if_lost=if_lost)
        except JobStopped:
            self.unchanged(host)
            raise

    def committed(self, host: str, *, rendered: str, fingerprint: Fingerprint, changed: bool) -> None:
        """The device now runs this for good. ``changed`` is False if it already did."""
        now = _Committed(rendered_hash=digest(rendered), fingerprint=fingerprint, at=timezone.now(), changed=changed)
        with self._mutex:
            self._unsaved[host] = now
            due = len(self._unsaved) >= _BATCH or time.monotonic() - self._saved_at > _SAVE_SECONDS
        if due and self._saving.acquire(blocking=False):
            try:
                self._save()
            finally:
                self._saving.release()

    def unchanged(self, host: str) -> None:
        """Nothing was committed, or it was taken back: what was known before still holds."""
        with self._mutex:
            if host in self._marked:
                self._unchanged.add(host)

    def close(self) -> None:
        """Store what is left, when no thread is at work. It is tried once: if the database is away, the marks say
        enough.

        If the statement that follows has to be repeated, call this again: a crash may have taken back what it stored.
        """
        if self._unsaved or self._unchanged:
            self._stored(self._unsaved, self._unchanged, last=True)

    # --- the database -------------------------------------------------------------------------------------------------

    def _mark(self, host: str) -> None:
        with self._mutex:
            self._to_mark.add(host)
        try:
            self._mark_waiting()
        except JobStopped as stopped:
            self._ctx.stop(stopped)  # a lost lock concerns the whole job, not only this device
            raise

    def _mark_all(self) -> None:
        with self._mutex:
            hosts = sorted(self._to_mark)
        self._with_database(lambda: self._fill_in(hosts))
        with self._mutex:
            self._to_mark.difference_update(hosts)
            self._marked.update(hosts)

    def _fill_in(self, hosts: Sequence[str]) -> None:
        """Mark the devices, but only while the lock is held.

        A process that was frozen and judged lost must not mark a device that another has synchronised since.
        """
        with self._ctx.guarded_by_lock():
            fill_in(DeviceState, "uncertain_job_id", self._ctx.job_id, key="host", keys=hosts)

    def _save(self) -> None:
        """Store what there is. What is added meanwhile, or could not be stored, is left for the next time."""
        with self._mutex:
            self._saved_at = time.monotonic()
            unsaved, self._unsaved = self._unsaved, {}
            unchanged, self._unchanged = self._unchanged, set()
        stored = False
        try:
            stored = self._stored(unsaved, unchanged)
        finally:
            if not stored:
                with self._mutex:
                    self._unsaved = unsaved | self._unsaved
                    self._unchanged |= unchanged

    def _stored(self, unsaved: Mapping[str, _Committed], unchanged: Collection[str], *, last: bool = False) -> bool:
        """Store it, but only while the job holds its lock: its successor's findings must not be overwritten.

        The last commit need not wait for the disk, because leaving the job, which follows, does. Returns False if it
        has to be tried again.
        """
        try:
            with self._ctx.guarded_by_lock():
                if last:
                    commit_unawaited()
                self._store(unsaved, unchanged)
        except LockLost as exc:
            record(DeviceAction.STATES_LEFT, job_id=self._ctx.job_id, error=str(exc))
        except Error as exc:
            record(DeviceAction.STATES_FAILED, job_id=self._ctx.job_id, error=str(exc))
            return False
        return True

    def _store(self, unsaved: Mapping[str, _Committed], unchanged: Collection[str]) -> None:
        rows = [
            DeviceState(
                host=host,
                rendered_hash=now.rendered_hash,
                running_hash=now.fingerprint.running_hash,
                unstable_lines=",".join(map(str, now.fingerprint.unstable)),
                changes=self._changes(self[host].changes, now),
                job_id=self._ctx.job_id,
                committed_at=now.at,
                uncertain_job_id=None,
            )
            for host, now in unsaved.items()
        ]
        insert_many(rows, replacing="host")
        for hosts in _batches(sorted(unchanged)):
            ours = DeviceState.objects.filter(host__in=hosts, uncertain_job_id=self._ctx.job_id)
            ours.update(uncertain_job_id=None)

    def _changes(self, before: str, now: _Committed) -> str:
        if not now.changed:
            return before
        changes = [*json.loads(before), [now.at.timestamp(), self._ctx.scheduled_by]]
        return json.dumps(changes[-KEPT_CHANGES:], ensure_ascii=False)

    def _with_database(self, work: Callable[[], T]) -> T:
        """Do it, waiting for the database if necessary; raises JobStopped if the job may not go on."""
        while True:
            try:
                with self._ctx.database():
                    return work()
            except Error as exc:
                if not not_now(exc):
                    raise
                record(DeviceAction.STATES_WAIT, job_id=self._ctx.job_id, error=str(exc))
            self._ctx.next_stop(0.5)
            self._ctx.checkpoint()


def _read(hosts: Sequence[str]) -> dict[str, Known]:
    found: dict[str, Known] = {}
    for batch in _batches(hosts):
        rows = DeviceState.objects.filter(host__in=batch).values_list(
            "host", "rendered_hash", "running_hash", "unstable_lines", "uncertain_job_id", "changes"
        )
        for host, rendered_hash, running_hash, unstable, uncertain, changes in rows:
            fingerprint = Fingerprint(running_hash=running_hash, unstable=_numbers(unstable))
            found[host] = Known(
                rendered_hash=rendered_hash, fingerprint=fingerprint, uncertain_job_id=uncertain, changes=changes
            )
    return found


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(","))) if text else ()


def _batches(hosts: Sequence[str]) -> list[Sequence[str]]:
    return [hosts[start : start + _MANY] for start in range(0, len(hosts), _MANY)]
