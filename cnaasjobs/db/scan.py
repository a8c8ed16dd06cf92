"""Pages of a large table, newest first, by ids alone: no count, no offset, no sort of more than one page.

A filter or a search may match anything, with or without an index. So the ids are searched in windows that widen until
the page is full or the time is up; a link leads on to the rest.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Generic, TypeVar

from django.db.models import Model, QuerySet

from cnaasjobs.db.built import Built

M = TypeVar("M", bound=Model)

FIRST_WINDOW: Final = 1_000
WIDEST_WINDOW: Final = 50_000
SECONDS: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Page(Generic[M]):
    """Rows by descending id, and where to go on."""

    rows: list[M]
    before: int | None = None  # older rows that match have ids below this
    after: int | None = None  # newer ones above this
    looked_from: int | None = None  # the highest and the lowest id searched
    looked_to: int | None = None
    gave_up: bool = False  # the time was up before the page was full


def read(
    queryset: QuerySet[M], *, size: int, before: int | None = None, after: int | None = None, seconds: float = SECONDS
) -> Page[M]:
    """The newest ``size`` rows that match, below the id ``before``; or the next newer ones above the id ``after``."""
    model = queryset.model
    highest = _id_at(model, "-pk")
    if highest is None:
        return Page(rows=[])
    deadline = time.monotonic() + seconds
    if after is not None:
        lowest = _id_at(model, "pk") or highest
        page = _upwards(queryset, size, max(after + 1, lowest), highest, deadline)
        if page is not None:
            return page
        before = None  # less than a full page is newer: the newest page shows more
    start = highest if before is None else min(highest, before - 1)
    return _downwards(queryset, size, start, highest, deadline)


def _id_at(model: type[Model], end: str) -> int | None:
    """The first id in this order."""
    return next((pk for (pk,) in _end(model, end).rows()), None)


@cache
def _end(model: type[Model], end: str) -> Built:
    return Built(lambda _: model._default_manager.order_by(end).values_list("pk")[:1])


def _next_id(model: type[Model], order: str, **beyond: int) -> int | None:
    """None if there is none: the rows may have been deleted meanwhile."""
    return model._default_manager.filter(**beyond).order_by(order).values_list("pk", flat=True).first()


def _downwards(queryset: QuerySet[M], size: int, start: int, highest: int, deadline: float) -> Page[M]:
    rows: list[M] = []
    lowest: int | None = None  # asked only where the first window was not enough
    low = start + 1
    for width in _widths():
        high, low = low, low - width
        rows += queryset.filter(pk__gte=low, pk__lt=high).order_by("-pk")[: size + 1 - len(rows)]
        if len(rows) > size:
            break
        if lowest is None:
            lowest = _id_at(queryset.model, "pk") or start
        if low <= lowest or time.monotonic() > deadline:
            low = max(low, lowest)
            break
        low = (_next_id(queryset.model, "-pk", pk__lt=low) or lowest) + 1  # the ids may have a gap of any size
    full = len(rows) > size
    rows = rows[:size]
    is_end = not full and lowest is not None and low <= lowest
    looked_to = rows[-1].pk if full else low
    return Page(
        rows=rows,
        before=None if is_end else looked_to,
        after=start if start < highest else None,
        looked_from=start,
        looked_to=looked_to,
        gave_up=not full and not is_end,
    )


def _upwards(queryset: QuerySet[M], size: int, start: int, highest: int, deadline: float) -> Page[M] | None:
    rows: list[M] = []
    high = start
    for width in _widths():
        low, high = high, min(highest + 1, high + width)
        rows += queryset.filter(pk__gte=low, pk__lt=high).order_by("pk")[: size - len(rows)]
        if len(rows) == size or high > highest or time.monotonic() > deadline:
            break
        high = _next_id(queryset.model, "pk", pk__gte=high) or high
    full = len(rows) == size
    if not full and high > highest:
        return None
    rows.reverse()
    looked_from = rows[0].pk if full else high - 1
    return Page(
        rows=rows,
        before=start,
        after=looked_from if looked_from < highest else None,
        looked_from=looked_from,
        looked_to=start,
        gave_up=not full,
    )


def _widths() -> Iterator[int]:
    width = FIRST_WINDOW
    while True:
        yield width
        width = min(WIDEST_WINDOW, 4 * width)
