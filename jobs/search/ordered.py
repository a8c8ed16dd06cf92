"""Jobs that a search finds, in another order than by age: the newest ``MOST`` of them, sorted.

Most of these orders have no index, and no index serves an order together with every search, so sorting all jobs would
read all of them. Older jobs are sorted separately, ``MOST`` at a time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from django.db.models import QuerySet

from cnaasjobs.db import scan
from jobs.models import Job
from jobs.search.find import SECONDS, matching, why
from jobs.states import Status

MOST: Final = 5_000


class Order(NamedTuple):
    """What a list can be sorted by; jobs whose key is None come last, whichever way it is sorted."""

    columns: tuple[str, ...]
    key: Callable[[Any, datetime], Any]  # of a row with these columns


def _took(row: Any, now: datetime) -> Any:
    if row.start_time is None or (row.finish_time is None and row.status != Status.RUNNING):
        return None
    return (row.finish_time or now) - row.start_time


# By the names that the API sorts by, where it has them.
ORDERS: Final[Mapping[str, Order]] = {
    "function_name": Order(("function_name",), lambda row, now: row.function_name.casefold()),
    "status": Order(("status",), lambda row, now: row.status),
    "scheduled_by": Order(("scheduled_by",), lambda row, now: row.scheduled_by and row.scheduled_by.casefold()),
    "start_time": Order(
        ("start_time", "finish_time", "scheduled_time"),  # as ``Job.when``
        lambda row, now: row.start_time or row.finish_time or row.scheduled_time,
    ),
    "took": Order(("start_time", "finish_time", "status"), _took),
    "change_score": Order(("change_score",), lambda row, now: row.change_score),
}


@dataclass(frozen=True, kw_only=True)
class Sorted:
    jobs: list[Job]
    last_page: int
    before: int | None  # the other jobs that match have ids below this
    gave_up: str | None


def sorted_jobs(
    text: str, order: str, *, descending: bool, size: int, page: int, before: int | None, now: datetime
) -> Sorted:
    """Page number ``page`` of the newest ``MOST`` jobs that a search finds; jobs that are equal come newest first.

    Args:
        order: one of ORDERS.
        before: only jobs older than the one with this id.
        now: the database's time.

    Raises:
        SearchError: what was typed cannot be understood.
    """
    columns, key = ORDERS[order]
    # Rows of a few columns, which is what a scan asks of a row: its pk.
    narrow = cast("QuerySet[Job]", matching(text, now=now).values_list("pk", *columns, named=True))
    found = scan.read(narrow, size=MOST, before=before, seconds=SECONDS)
    keys = [(row.pk, key(row, now)) for row in found.rows]
    known = sorted((each for each in keys if each[1] is not None), key=lambda each: each[1], reverse=descending)
    ids = [pk for pk, _ in (*known, *(each for each in keys if each[1] is None))]
    last_page = max(1, -(-len(ids) // size))
    start = (min(page, last_page) - 1) * size
    shown = Job.objects.defer("finished_devices", "start_arguments").in_bulk(ids[start : start + size])
    return Sorted(
        jobs=[shown[pk] for pk in ids[start : start + size] if pk in shown],  # else it was pruned meanwhile
        last_page=last_page,
        before=found.before,
        gave_up=why(found, SECONDS) if found.gave_up else None,
    )
