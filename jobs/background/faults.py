"""How a thread that must keep running handles a fault: it logs it once, and gets a new database connection."""

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
_LOCK_SECONDS = 2  # by then the row is probably locked by a process that is gone, and the next round comes soon
_IDLE_SECONDS = 30


class Complaint:
    """Logs a repeated fault when it starts, once a minute while it lasts, and when it ends."""

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
    """No statement on this thread's connection may hang, and no advisory lock may outlive a frozen process."""
    limit_this_thread(
        statement_timeout=f"{_STATEMENT_SECONDS}s",
        lock_timeout=f"{_LOCK_SECONDS}s",
        idle_session_timeout=f"{_idle_seconds()}s",
    )


def _idle_seconds() -> int:
    """Longer than any pause between two rounds: a check keeps these settings well below ``worker_lost_seconds``."""
    return max(_IDLE_SECONDS, round(conf.worker_lost_seconds))


def forget_connection() -> None:
    """Close this thread's connection, whatever state it is in; the next use opens a new one."""
    with contextlib.suppress(Exception):  # closing a broken connection may raise anything; it is gone either way
        connection.close()
