"""The change feed: what became visible since a position, as the objects that its readers get.

``look`` is what the events process asks four times a second, for all its readers at once. A page that shows jobs reads
``position`` before its rows, so that its stream begins exactly there.
"""

from typing import Final, NamedTuple

from jobs.feed import objects
from jobs.feed.objects import Told
from jobs.sql import store
from jobs.sql.position import Kind, Position

__all__ = ["Kind", "News", "Position", "Told", "look", "position"]

LIMIT: Final = 1000  # changes; a reader that is further behind loads everything again


class News(NamedTuple):
    """``told`` is None for a reader that must load again. The position is after all of it."""

    told: list[Told] | None
    position: Position


def position() -> Position:
    """The feed's end. Outside a transaction."""
    return store().position()


def look(since: Position) -> News:
    """Each changed row once, in its present state, in the order of the changes."""
    changes, behind = store().look(since, LIMIT)
    return News(None if changes is None else objects.told(changes), behind)
