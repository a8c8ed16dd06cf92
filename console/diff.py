"""A diff as coloured lines. Its text comes from a device: templates escape it."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from jobs.result_views import Section

LONGEST: Final = 60_000  # characters of one section on a page
_PLACES: Final = ("@@", "---", "+++")
_KINDS: Final = {"+": "added", "-": "removed"}


class DiffLine(NamedTuple):
    text: str
    kind: str  # added, removed, place or empty: classes of the style sheet


class ShownSection(NamedTuple):
    """A section as the page shows it."""

    title: str
    text: str  # if the section is not a diff
    lines: list[DiffLine]  # if it is one
    left_out: int  # characters
    is_long: bool  # more likely a whole configuration than a message


def shown(sections: list[Section]) -> Iterator[ShownSection]:
    for section in sections:
        text = section.text[:LONGEST]
        yield ShownSection(
            title=section.title,
            text="" if section.is_diff else text,
            lines=lines_of(text) if section.is_diff else [],
            left_out=len(section.text) - len(text),
            is_long=not section.is_diff and text.count("\n") > 10,
        )


def lines_of(diff: str) -> list[DiffLine]:
    """The lines of a unified diff, or of a driver's own format, in which many lines begin with spaces."""
    return [
        DiffLine(line, "place" if line.startswith(_PLACES) else _KINDS.get(line.lstrip()[:1], ""))
        for line in diff.splitlines()
    ]
