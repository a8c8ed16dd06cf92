"""Texts of any length on a page: cut where they get too long, with a note of how much was left out."""

from dataclasses import dataclass
from typing import Final

from cnaasjobs.indented import indented_text

SHOWN: Final = 300_000  # characters of a result on a page
SHOWN_OF_ONE: Final = 40_000  # and of one text in it


@dataclass(frozen=True)
class Cut:
    """A text, or its beginning."""

    text: str
    left_out: int = 0  # characters


def cut(text: str, limit: int) -> Cut:
    return Cut(text[:limit], max(0, len(text) - limit))


def pretty(stored: str, *, limit: int) -> Cut:
    """JSON text indented; as it is if it is too long for that."""
    if len(stored) > 4 * limit:
        return cut(stored, limit)
    return cut(indented_text(stored), limit)
