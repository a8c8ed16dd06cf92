"""A place in the change feed, and what comes after it."""

import re
from enum import StrEnum
from typing import Final, NamedTuple, Self

_TEXT: Final = re.compile(r"([0-9a-f]{1,16})\.(\d{1,19})((?:-\d{1,19})*)", re.ASCII)
_MOST_OPEN: Final = 40
_LARGEST: Final = 2**63 - 1  # a bigint: the databases refuse to compare with what is beyond


class Position(NamedTuple):
    """Everything up to change ``top`` is known, except what the transactions ``open`` may yet commit.

    ``top`` is the number of a committed change: after a crash PostgreSQL gives numbers of rolled back ones out again.
    Numbers are not commit order; nobody compares two of one row.
    """

    feed: str  # of another database (restored, failed over) the numbers mean nothing here
    top: int
    open: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for a text that is not a position."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        feed, top, still_open = found.groups()
        numbers = tuple(int(number) for number in still_open.split("-")[1:])
        if len(numbers) > _MOST_OPEN or max(int(top), *numbers, 0) > _LARGEST:
            return None
        return cls(feed, int(top), numbers)

    @classmethod
    def behind(cls, feed: str, top: int, running: list[int]) -> Self:
        """The position after ``top``, while these transactions are ``running``: their changes may still come.

        If too many are running it lies before the first of them, and what came since is told again.
        """
        still_open = sorted(number for number in running if number < top)
        if len(still_open) > _MOST_OPEN:
            return cls(feed, still_open[0] - 1)
        return cls(feed, top, tuple(still_open))

    def __str__(self) -> str:
        return f"{self.feed}.{'-'.join(map(str, (self.top, *self.open)))}"


class Kind(StrEnum):
    JOB = "job"
    LOCK = "lock"
    LOG = "log"  # a batch of lines


class Change(NamedTuple):
    """A row that exists, and differs from what it was at the previous position."""

    kind: Kind
    id: int


class Look(NamedTuple):
    """What became visible since a position, each row once, and the position after it.

    ``changes`` is None if that is unknown: the position belongs to another feed, is ahead of this one, or too far back.
    """

    changes: list[Change] | None
    position: Position
