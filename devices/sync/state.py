"""What is known of the devices of one job, and what it committed on them.

The database is written a constant number of times for each 500 devices, not once for each: before a job's first commit
its devices are marked uncertain in one statement; what it confirmed is stored in batches; at the end the untouched ones
lose their mark. A worker that dies in between leaves devices that are not in sync, never one that wrongly is.
"""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.conf import settings
from django.db import Error
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from cnaasjobs.db.insert import insert_many
from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from devices.actions import DeviceAction
from devices.models import DeviceState
from jobs.errors import LockLost
from jobs.task import JobContext

T = TypeVar("T")

_BATCH = 500
_COMMENTS = re.compile(r"\n[ \t]*[!#][^\n]*")


def digest(text: str, *, key: str | None = None) -> str:
    """A keyed hash: a plain one would let a reader of the database try out weak secrets."""
    raw = text.encode("utf-8", "surrogatepass")  # a device may send anything
    return salted_hmac("devices.state", raw, secret=key, algorithm="sha256").hexdigest()


def matches(stored: str, text: str) -> bool:
    """Whether ``stored`` is the digest of this text, by the present key or one of Django's fallbacks."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(stored, digest(text, key=key)) for key in keys)


def essential(running: str) -> str:
    """A running configuration without its lines of comment: devices write the time of day into them."""
    return _COMMENTS.sub("", f"\n{running}").strip()


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of one device."""

    rendered_hash: str = ""
    running_hash: str = ""

    def in_sync(self, rendered: str) -> bool:
        """The rendered configuration is the one last committed."""
        return bool(self.rendered_hash) and matches(self.rendered_hash, rendered)

    def changed_outside(self, running: str | None) -> bool:
        """The running configuration is not the one that our last commit left; False if that can't be told."""
        if not self.running_hash or running is None:
            return False
        return not matches(self.running_hash, essential(running))


@dataclass(frozen=True, kw_only=True)
class _Committed:
    rendered_hash: str
    running_hash: str
    at: datetime


class DeviceStates:
    """The states of the devices of one job. All methods but ``close`` may be called from any of its threads."""

    def __init__(self, ctx: JobContext, hosts: Sequence[str]) -> None:
        self._ctx = ctx
        self._hosts = list(hosts)
        self._mutex = threading.Lock()
        self._marked = False
        self._attempted: set[str] = set()
        self._unsaved: dict[str, _Committed] = {}
        self._known = self._with_database(self._read)

    def __getitem__(self, host: str) -> Known:
        return self._known.get(host, Known())

    def about_to_commit(self, host: str) -> None:
        """Call before each commit: from here until ``committed`` nobody can say what the device runs."""
        with self._mutex:
            if not self._marked:
                self._with_database(self._mark)
                self._marked = True
            self._attempted.add(host)

    def committed(self, host: str, *, rendered: str, running: str | None) -> None:
        """The device runs this now, for good."""
        now = _Committed(
            rendered_hash=digest(rendered),
            running_hash="" if running is None else digest(essential(running)),
            at=timezone.now(),
        )
        with self._mutex:
            self._unsaved[host] = now
            if len(self._unsaved) >= _BATCH:
                self._save()

    def unchanged(self, host: str) -> None:
        """A commit was taken back: what was known before holds."""
        with self._mutex:
            self._attempted.discard(host)

    def close(self) -> None:
        """Store what is left, once: when the database is away, the marks say enough."""
        with self._mutex:
            self._save()
            if self._marked:
                self._guarded(self._unmark)

    # --- the database -------------------------------------------------------------------------------------------------

    def _read(self) -> dict[str, Known]:
        found: dict[str, Known] = {}
        for batch in self._batches():
            rows = DeviceState.objects.filter(host__in=batch, uncertain_job_id__isnull=True)
            for host, rendered, running in rows.values_list("host", "rendered_hash", "running_hash"):
                found[host] = Known(rendered_hash=rendered, running_hash=running)
        return found

    def _mark(self) -> None:
        for batch in self._batches():
            rows = DeviceState.objects.filter(host__in=batch, uncertain_job_id__isnull=True)
            rows.update(uncertain_job_id=self._ctx.job_id)

    def _unmark(self) -> None:
        marked = DeviceState.objects.filter(uncertain_job_id=self._ctx.job_id)
        marked.exclude(host__in=self._attempted).update(uncertain_job_id=None)

    def _save(self) -> None:
        if self._unsaved and self._guarded(self._store):
            self._attempted.difference_update(self._unsaved)
            self._unsaved.clear()

    def _store(self) -> None:
        rows = [
            DeviceState(
                host=host,
                rendered_hash=now.rendered_hash,
                running_hash=now.running_hash,
                job_id=self._ctx.job_id,
                committed_at=now.at,
                uncertain_job_id=None,
            )
            for host, now in self._unsaved.items()
        ]
        insert_many(rows, replacing="host")

    def _guarded(self, write: Callable[[], None]) -> bool:
        """Write while the job holds its lock: one that lost it must not overwrite what its successor found out."""
        try:
            with self._ctx.guarded_by_lock():
                write()
        except LockLost as exc:
            record(DeviceAction.STATES_LEFT, job_id=self._ctx.job_id, error=str(exc))
        except Error as exc:
            record(DeviceAction.STATES_FAILED, job_id=self._ctx.job_id, error=str(exc))
            return False
        return True

    def _with_database(self, work: Callable[[], T]) -> T:
        """Do it, also if the database must be waited for; raises JobStopped when the job may not go on."""
        while True:
            self._ctx.checkpoint()
            try:
                with self._ctx.database():
                    return work()
            except Error as exc:
                if not not_now(exc):
                    raise
                record(DeviceAction.STATES_WAIT, job_id=self._ctx.job_id, error=str(exc))
                self._ctx.next_stop(0.5)

    def _batches(self) -> list[list[str]]:
        return [self._hosts[start : start + 5000] for start in range(0, len(self._hosts), 5000)]
