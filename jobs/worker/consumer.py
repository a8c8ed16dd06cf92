"""How the worker reconnects to a broker that it lost: soon, without giving up, and without flooding it."""

import time
from functools import partial
from typing import Any, Final

from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer

_LONGEST_PAUSE_SECONDS: Final = 5  # Celery's own pause grows to half a minute, even if the broker has long been back
_SHORT_LIVED_SECONDS: Final = 5.0


class Consumer(CeleryConsumer):  # type: ignore[misc, unused-ignore]
    _connected_at: float = float("-inf")

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=1, interval_step=1, interval_max=_LONGEST_PAUSE_SECONDS
        )
        connected = super().ensure_connected(conn)
        self._connected_at = time.monotonic()
        return connected

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """After a connection that the broker accepted and dropped at once, wait a moment before the next try."""
        if self.event_dispatcher is not None and self.event_dispatcher.connection is not None:
            # With -E the worker has a second connection for events. Celery would close it with a handshake, and wait
            # for the answer forever.
            self.event_dispatcher.connection.collect()
        super().on_connection_error_after_connected(exc)
        if time.monotonic() - self._connected_at < _SHORT_LIVED_SECONDS:
            until = time.monotonic() + _LONGEST_PAUSE_SECONDS
            while time.monotonic() < until:
                state.maybe_shutdown()
                time.sleep(0.2)
