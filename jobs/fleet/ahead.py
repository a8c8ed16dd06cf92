"""How many devices a participant takes that it cannot begin yet, so that no thread waits for the next one to be taken.

Where steps read first and nobody else takes part: as many as its threads begin until it asks again. Quick devices are
taken by the dozen, in one statement; of slow ones, of which each is worth a statement, none is.
"""

import time
from dataclasses import dataclass

from cnaasjobs.conf import conf

LOOK_SECONDS = 1.0  # a participant looks at least so often whether it may go on


@dataclass
class Ahead:
    """One participant's. All methods but ``may_begin`` are its own thread's."""

    threads: int
    alone: bool  # and of a job in which that is of use
    _done: int = 0
    _seconds: float = 0.0
    _asked_at: float = 0.0

    def was_done(self, seconds: float) -> None:
        """A device was begun so long ago, and is over."""
        self._done += 1
        self._seconds += seconds

    @property
    def most(self) -> int:
        if not (self.alone and self._done):
            return 0
        share = self._done * conf.report_seconds / max(self._seconds, conf.report_seconds)
        return int(self.threads * min(share, 1.0))

    @property
    def few(self) -> int:
        """With no more than so many in hand it is time to take more."""
        return self.threads - 1 + (self.most + 1) // 2

    def wanted(self, in_hand: int) -> tuple[int, int]:
        """How many more to begin at once, and how many ahead of that."""
        idle = self.threads - in_hand
        return max(idle, 0), max(self.most + min(idle, 0), 0)

    def heard(self, asked_at: float, *, may_go_on: bool) -> None:
        """At a safe point, asked for at this time (monotonic)."""
        if may_go_on:
            self._asked_at = asked_at

    def may_begin(self) -> bool:
        """Whether that is so recent that a device may be begun on it. It is not in a process that was frozen."""
        return time.monotonic() - self._asked_at < min(LOOK_SECONDS, conf.worker_lost_seconds / 2)
