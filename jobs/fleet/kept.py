"""Which devices this process has permanently taken: a crash of the database can't undo that it took them.

That is so once the commit that took them has waited for the disk, or a later one has: the database's log has one order,
so a commit that waited makes everything before it last. See ``cnaasjobs.db.unawaited``.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Kept:
    """The devices that were taken, and which of them a crash can't take away. Any thread may call its methods."""

    always: bool  # each statement that takes devices waits for the disk
    _taken_at: dict[int, float] = field(default_factory=dict)  # monotonic, by the device's id
    _lasts_until: float = 0.0

    def took(self, ids: Iterable[int], *, lasting: bool = False) -> None:
        """``lasting``: the commit that took them has waited."""
        self._taken_at.update(dict.fromkeys(ids, -math.inf if lasting else time.monotonic()))

    def gave_up(self, device_id: int) -> None:
        self._taken_at.pop(device_id, None)

    def lasted(self, since: float) -> None:
        """A commit that began at this time has waited for the disk, and so has everything before it."""
        self._lasts_until = max(self._lasts_until, since)

    def has(self, device_id: int) -> bool:
        return self.always or self._taken_at.get(device_id, math.inf) < self._lasts_until
