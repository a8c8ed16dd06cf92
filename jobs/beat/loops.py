"""A thread that does one thing again and again, on its own database connection, and outlives every fault."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connection, connections

log = logging.getLogger(__name__)

_PAUSE_AFTER_FAILURE_SECONDS = 1.0
_REPEAT_COMPLAINT_SECONDS = 60.0
_STATEMENT_SECONDS = 15


class Loop(threading.Thread):
    """Calls ``step`` until stopped; it returns how many seconds to wait before the next call, unless woken."""

    def __init__(self, name: str, step: Callable[[], float], *, at_end: Callable[[], None] | None = None) -> None:
        super().__init__(name=f"beat-{name}", daemon=True)  # a step that hangs must not keep the process alive
        self._step = step
        self._at_end = at_end
        self._woken = threading.Event()
        self._stopping = False
        self._complaint = Complaint(f"Beat's {name}")

    def wake(self) -> None:
        """Do not wait any longer. Callable from any thread."""
        self._woken.set()

    def stop(self) -> None:
        """Let it end after the step in hand; ``join`` waits for that."""
        self._stopping = True
        self._woken.set()

    def run(self) -> None:
        while not self._stopping:
            pause = self._guarded_step()
            self._woken.wait(max(pause, 0.0))
            self._woken.clear()
        if self._at_end is not None:
            with contextlib.suppress(DatabaseError, InterfaceError):  # a farewell; who misses it finds out anyway
                self._at_end()
        forget_connection()
        connections.close_all()

    def _guarded_step(self) -> float:
        try:
            bound_statements()
            pause = self._step()
        except Exception as exc:  # noqa: BLE001  the thread outlives whatever a step meets: nobody else does its work
            self._complaint.failed(exc)
            forget_connection()
            return _PAUSE_AFTER_FAILURE_SECONDS
        self._complaint.over()
        return pause


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
        fields = {"action": "beat", "failing_seconds": round(now - self._since)}
        expected = isinstance(exc, DatabaseError | InterfaceError | OSError)
        log.error("%s fails: %s", self._who, exc, extra=fields, exc_info=None if expected else exc)

    def over(self) -> None:
        if self._since is not None:
            log.info("%s works again after %.0f s", self._who, time.monotonic() - self._since, extra={"action": "beat"})
            self._since = None


class _Bounded(threading.local):
    connection: object | None = None


_bounded = _Bounded()


def bound_statements() -> None:
    """No statement of this thread's connection may hang: set the limit once for each new connection."""
    if connection.vendor != "postgresql":
        return
    connection.ensure_connection()
    if _bounded.connection is not connection.connection:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = '{_STATEMENT_SECONDS}s'")
        _bounded.connection = connection.connection


def forget_connection() -> None:
    """Close this thread's connection, whatever state it is in; its next use opens a new one."""
    _bounded.connection = None
    with contextlib.suppress(Exception):  # closing what is broken may raise anything; it is gone either way
        connection.close()
