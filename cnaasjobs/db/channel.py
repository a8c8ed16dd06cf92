"""PostgreSQL's LISTEN and NOTIFY: a signal from one process to all others, which has no content and may be lost."""

import select
import time

from django.db import connection

_PROBE_SECONDS = 5.0


def can_listen() -> bool:
    """Whether this database has channels at all; without them, a process that waits must poll."""
    return connection.vendor == "postgresql"


def announce(channel: str) -> None:
    """Wake all listeners, on commit.

    Use it sparingly: NOTIFY serialises commits. Does nothing where nobody can listen.
    """
    if can_listen():
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {channel}")


class Subscription:
    """This thread listens on its own connection, which is used for nothing else.

    Every method may raise what that connection raises.
    """

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._listens_on: object | None = None
        self._probed = 0.0

    def renew(self) -> bool:
        """Listen, unless this connection already does. True if it did not: what was announced before is lost."""
        if self._listens_on is not None and connection.connection is self._listens_on:
            return False
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {self._channel}")
        self._probed = time.monotonic()
        self._listens_on = connection.connection
        return True

    def announced(self, timeout: float) -> bool:
        """Wait for an announcement; False after this many seconds without one.

        Checks now and then that the server is alive.
        """
        raw = connection.connection
        readable, _, _ = select.select([raw], [], [], timeout)
        if readable:
            raw.poll()
            if raw.notifies:
                raw.notifies.clear()
                return True
        elif time.monotonic() - self._probed > _PROBE_SECONDS:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            self._probed = time.monotonic()
        return False
