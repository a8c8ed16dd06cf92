"""How many devices a participant takes before it can begin them, so that no thread waits for a statement.

It does so only if its steps read first and it is alone: then it takes as many as its threads will begin until it asks
again. So one statement takes dozens of quick devices. Slow devices are not taken ahead: each is worth its statement.
"""

import time
from dataclasses import dataclass

from cnaasjobs.conf import conf
from jobs.fleet.asking import too_late

LOOK_SECONDS = 1.0  # a participant asks at least this often whether it may go on


@dataclass
class Ahead:
    """How far one participant takes devices ahead. Threads call only ``may_begin``; the rest is its main thread's."""

    threads: int
    alone: bool  # no other takes part, and the job's steps read first
    _done: int = 0
    _seconds: float = 0.0
    _asked_at: float = 0.0

    def was_done(self, seconds: float) -> None:
        """A device is over, this long after it was begun."""
        self._done += 1
        self._seconds += seconds

    @property
    def most(self) -> int:
        """How many devices to have ahead: as many as the threads begin in ``report_seconds``, at their pace so far."""
        if not self.alone:
            return 0
        share = self._done * conf.report_seconds / max(self._seconds, conf.report_seconds)
        return int(self.threads * min(share, 1.0))

    @property
    def few(self) -> int:
        """When no more than this many devices are in hand, it is time to take more."""
        return self.threads - 1 + (self.most + 1) // 2

    def wanted(self, in_hand: int) -> tuple[int, int]:
        """How many more devices to begin at once, and how many to take ahead."""
        idle = self.threads - in_hand
        return max(idle, 0), max(self.most + min(idle, 0), 0)

    def heard(self, asked_at: float) -> None:
        """A safe point that was asked for at this time (monotonic) has answered."""
        self._asked_at = asked_at

    def may_begin(self) -> bool:
        """Whether the last safe point is recent enough to begin a device on it; not in a process that was frozen. If it
        said that the run may not go on, the body is stopping.
        """
        age = time.monotonic() - self._asked_at
        return age < LOOK_SECONDS and not too_late(age)
