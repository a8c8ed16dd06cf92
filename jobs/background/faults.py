"""How a thread that must go on meets a fault: it says so once, and gets a new database connection."""

import contextlib
import time

from django.db import connection

from cnaasjobs.conf import conf
from cnaasjobs.db.limits import limit_this_thread
from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from jobs.actions import JobAction

_REPEAT_COMPLAINT_SECONDS = 60.0
_STATEMENT_SECONDS = 15
_LOCK_SECONDS = 2  # then the row is somebody's who may be gone, and the next round is soon
_IDLE_SECONDS = 30


class Complaint:
    """Logs a fault that repeats once at its start, once a minute, and its end."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._since: float | None = None
        self._logged = 0.0

    def failed(self, exc: BaseException) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since, self._logged = now, now
        elif now - self._logged < _REPEAT_COMPLAINT_SECONDS:
            return
        self._logged = now
        expected = not_now(exc) or isinstance(exc, OSError)
        record(
            JobAction.THREAD_FAILS,
            exc=None if expected else exc,
            who=self._who,
            error=str(exc),
            failing_seconds=round(now - self._since),
        )

    def over(self) -> None:
        if self._since is not None:
            record(JobAction.THREAD_WORKS, who=self._who, failing_seconds=round(time.monotonic() - self._since))
            self._since = None


def bound_statements() -> None:
    """No statement of this thread's connection may hang, and no advisory lock outlive a process that is frozen."""
    limit_this_thread(
        statement_timeout=f"{_STATEMENT_SECONDS}s",
        lock_timeout=f"{_LOCK_SECONDS}s",
        idle_session_timeout=f"{_idle_seconds()}s",
    )


def _idle_seconds() -> int:
    """Longer than any pause between two rounds: settings are checked to be well below ``worker_lost_seconds``."""
    return max(_IDLE_SECONDS, round(conf.worker_lost_seconds))


def forget_connection() -> None:
    """Close this thread's connection, whatever state it is in; its next use opens a new one."""
    with contextlib.suppress(Exception):  # closing what is broken may raise anything; it is gone either way
        connection.close()
