"""Sends the messages of due jobs, straight from the database, at their time: never early, by the database's clock."""

import time
from collections.abc import Callable

from cnaasjobs.conf import conf
from jobs.dispatch import sending

_BATCH = 500
_MAX_WAIT_SECONDS = 1.0  # while LISTEN works
_FIRST_BACKOFF_SECONDS = 0.0005  # it woke slightly too soon, or another Beat has taken the rows
_MAX_BACKOFF_SECONDS = 1.0
_BROKER_AWAY_SECONDS = 0.1  # a backoff this long means that the broker takes nothing


class Sender:
    def __init__(self, listening: Callable[[], bool]) -> None:
        """``listening`` says whether an announcement would wake this thread; without, it polls."""
        self._listening = listening
        self._due_at: float | None = None  # monotonic
        self._backoff = 0.0

    def step(self) -> float:
        """Send what is due. Returns the seconds until the next job is due."""
        if self._due_at is not None and time.monotonic() >= self._due_at:
            self._due_at = None
            return self._send()
        due_in = sending.seconds_to_next_due()
        if due_in is not None and due_in <= 0:
            return self._send()
        self._backoff = 0.0
        self._due_at = None if due_in is None else time.monotonic() + due_in
        longest = _MAX_WAIT_SECONDS if self._listening() else conf.beat_max_sleep_seconds
        return longest if due_in is None else min(longest, due_in)

    def _send(self) -> float:
        # If the broker is away, try it with one message: each attempt should not cost a whole batch of writes.
        if sending.dispatch_due(limit=1 if self._backoff > _BROKER_AWAY_SECONDS else _BATCH):
            self._backoff = 0.0
            return 0.0
        self._backoff = min(2 * self._backoff or _FIRST_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS)
        return self._backoff
