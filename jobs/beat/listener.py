"""Wakes the sender of due jobs as soon as a job that is due later is committed, where the database announces that.

Its thread uses its connection for nothing else. Without one (SQLite, a lost connection) ``listening`` is False and the
sender polls.
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
        """Wait for a short while. Raises when the connection is lost; the next call listens again."""
        try:
            is_new = self._subscription.renew()
            self.listening = True
            if is_new or self._subscription.announced(_WAIT_SECONDS):
                self._wake()
        except BaseException:
            self.listening = False
            raise
        return 0.0
