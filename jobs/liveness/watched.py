"""Which processes are alive, because this one saw their counters grow: for callers that ask again and again."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

ALIVE_SECONDS: Final = 10.0


class _Seen(NamedTuple):
    counter: int
    since: float  # when this counter was first seen here, monotonic
    moved: bool  # it was seen growing to this value, not just found with it


class Watched:
    """The database's clock is used only for a heartbeat that was not looked at during the last ``ALIVE_SECONDS``."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}
        self._asked = float("-inf")

    def alive(self, beats: Iterable[tuple[int, int, datetime]], *, now: float, database_time: datetime) -> set[int]:
        """The ids of the processes that are alive, given (id, counter, last_seen) of each."""
        lately = now - self._asked <= ALIVE_SECONDS
        self._asked = now
        seen: dict[int, _Seen] = {}
        alive = set()
        for pk, counter, last_seen in beats:
            before = self._seen.get(pk)
            if before is None or before.counter != counter:
                seen[pk] = _Seen(counter, now, moved=before is not None and lately)
            else:
                seen[pk] = before
            recent = database_time - last_seen <= timedelta(seconds=ALIVE_SECONDS)
            if now - seen[pk].since <= ALIVE_SECONDS and (seen[pk].moved or recent):
                alive.add(pk)
        self._seen = seen
        return alive
