"""Wakes the sender of due jobs as soon as a job due later is committed, where the database announces that.

Its thread's own connection is used for nothing else. Without it (SQLite, a lost connection) ``listening`` is False and
the sender polls.
"""

from collections.abc import Callable

from cnaasjobs.db.channel import Subscription
from jobs.dispatch.sending import DUE_CHANNEL

_WAIT_SECONDS = 1.0


class Listener:
    def __init__(self, wake: Callable[[], None]) -> None:
        self.listening = False
        self._wake = wake
        self._subscription = Subscription(DUE_CHANNEL)

    def step(self) -> float:
        """Wait for a moment. Raises when the connection is lost, and listens again at the next call."""
        try:
            is_new = self._subscription.renew()
            self.listening = True
            if is_new or self._subscription.announced(_WAIT_SECONDS):
                self._wake()
        except BaseException:
            self.listening = False
            raise
        return 0.0
