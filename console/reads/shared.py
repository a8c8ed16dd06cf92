"""Each process reads once, and not for each page, what is the same for everybody.

It is read again when a job or a lock has changed, and after a second, because heartbeats and time itself change nothing
in the feed.
"""

import time
from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple, TypeVar

from django.db import connection

from jobs.feed import Position

T = TypeVar("T")

SECONDS: Final = 1.0
MOST: Final = 100  # answers; then it starts over


class _Kept(NamedTuple):
    position: Position
    until: float
    answer: Any


_kept: dict[Hashable, _Kept] = {}


def shared(
    ask: Callable[..., T],
    position: Position,
    *about: Hashable,
    clock: Callable[[], float] = time.monotonic,
    **beside: Any,
) -> T:
    """What ``ask(*about, **beside)`` returns; not older than ``position``, the end of the change feed.

    Args:
        beside: arguments that do not distinguish one answer from another, such as the time.
    """
    if connection.in_atomic_block:  # where the position does not tell of one's own changes
        return ask(*about, **beside)
    kept = _kept.get((ask, *about))
    if kept is None or kept.position != position or clock() >= kept.until:
        kept = _Kept(position, clock() + SECONDS, ask(*about, **beside))
        if len(_kept) >= MOST:
            _kept.clear()
        _kept[ask, *about] = kept
    answer: T = kept.answer
    return answer


def forget() -> None:
    """For tests, each of which has a database of its own."""
    _kept.clear()
