"""PostgreSQL's LISTEN: wakes the sender of due jobs as soon as a job due later is committed.

Its thread's own connection is used for nothing else. Without it (SQLite, a lost connection) ``listening`` is False and
the sender polls.
"""

import select
import time
from collections.abc import Callable

from django.db import connection

from jobs.dispatch.sending import DUE_CHANNEL

_WAIT_SECONDS = 1.0
_PROBE_SECONDS = 5.0


class Listener:
    def __init__(self, wake: Callable[[], None]) -> None:
        self.listening = False
        self._wake = wake
        self._probed = 0.0

    def step(self) -> float:
        """Wait for a moment. Raises when the connection is lost, and listens again at the next call."""
        try:
            self._wait()
        except BaseException:
            self.listening = False
            raise
        return 0.0

    def _wait(self) -> None:
        if not self.listening or connection.connection is None:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {DUE_CHANNEL}")
            self._probed = time.monotonic()
            self.listening = True
            self._wake()  # whatever was announced while nobody listened
        raw = connection.connection
        readable, _, _ = select.select([raw], [], [], _WAIT_SECONDS)
        if readable:
            raw.poll()
            if raw.notifies:
                raw.notifies.clear()
                self._wake()
        elif time.monotonic() - self._probed > _PROBE_SECONDS:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            self._probed = time.monotonic()
