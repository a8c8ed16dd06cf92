"""A Beat that watches, on a monotonic clock that the test controls."""

from jobs.beat.heartbeat import BeatHeartbeat
from jobs.upkeep.rescue import Rescue


class Watcher:
    """A Beat that looks at the workers; its seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.own = BeatHeartbeat()
        self.rescue = Rescue(own_heartbeat=lambda: self.own.row_id, clock=lambda: self.now)

    def look(self, seconds: float = 2.0, *, own_beats: bool = True) -> int:
        """Let ``seconds`` pass and look. Returns how many runs were ended."""
        self.now += seconds
        if own_beats:
            self.own.step()
        return self.rescue.step()
