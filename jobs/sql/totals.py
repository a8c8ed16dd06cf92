"""The exact number of jobs without counting them all, and where a deep page begins without walking to it.

Below a watermark, counts are kept per block of ids; the few jobs above it are counted. The watermark stays behind every
open transaction, so that no job can appear below it; upkeep moves it. Code that deletes jobs calls ``forget`` in the
same transaction. Moving and forgetting both lock the watermark's row, so that a job is never counted by one and missed
by the other.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connection, transaction
from django.db.models import F, QuerySet, Subquery
from django.db.models.functions import Coalesce

from jobs.models import Job, JobBlock, Watermark
from jobs.sql import store

Row = TypeVar("Row")

_STEP = 200_000  # at most this many ids are counted in one move
_HIGHEST_ID = 2**63 - 1


class _LastWatermark:
    """The watermark as this process last saw it: the total takes one statement if it has not moved, else two."""

    def __init__(self) -> None:
        self._below = _HIGHEST_ID  # not 0, with which the guess would be planned as a count of all jobs

    def total(self) -> int:
        below, kept, above = store().kept_total(self._below)
        self._below = below
        return kept + (store().count_from(below) if above is None else above)


_WATERMARK = _LastWatermark()


def total(queryset: QuerySet[Job, Any]) -> int:
    """Rows that match; the unfiltered total is kept, any other is counted."""
    if queryset.query.where:
        return _count_filtered(queryset)
    return _WATERMARK.total()


def _count_filtered(queryset: QuerySet[Job, Any]) -> int:
    """Like ``queryset.count()``, which takes longer to copy and build the query than a small count takes to run."""
    try:
        return store().count_where(*_condition(queryset))
    except (EmptyResultSet, FullResultSet):  # Django knows the answer without asking
        return queryset.count()


def _condition(queryset: QuerySet[Job, Any]) -> tuple[str, tuple[Any, ...]]:
    where, parameters = queryset.query.get_compiler(connection=connection).compile(queryset.query.where)
    return where, tuple(parameters)


def up_to(most: int, counts: "Counts") -> list[int]:
    """How many rows match each of them, counted up to ``most``, in one statement."""
    return store().count_up_to(most, counts.compiled())


class Counts:
    """What is counted, compiled once: for a page that is asked for often, building it costs more than running.

    Each query says the order of an index that has its rows, by columns.
    """

    def __init__(self, *queries: QuerySet[Job]) -> None:
        self._queries = queries
        self._compiled: dict[str, list[tuple[str, str, tuple[Any, ...]]]] = {}  # by the kind of database

    def compiled(self) -> list[tuple[str, str, tuple[Any, ...]]]:
        if connection.vendor not in self._compiled:
            made = []
            for each in self._queries:
                where, parameters = _condition(each)
                made.append((where, ", ".join(map(str, each.query.order_by)), parameters))
            self._compiled[connection.vendor] = made
        return self._compiled[connection.vendor]


def page(queryset: QuerySet[Job, Row], start: int, size: int, total: int) -> QuerySet[Job, Row]:
    """Rows ``start`` to ``start + size`` of a query; of all jobs by id, up or down, without walking there."""
    order = tuple(queryset.query.order_by) or ("id",)
    if queryset.query.where or start < JobBlock.BLOCK or order not in {("id",), ("-id",)}:
        return queryset[start : start + size]
    if order == ("-id",):
        first = max(0, total - start - size)
        size = min(size, total - start)
        ids = _from(first, Job.objects.values_list("id", flat=True))[: max(0, size)]
        return queryset.filter(pk__in=list(ids))
    return _from(start, queryset)[:size]


def _from(start: int, everything: QuerySet[Job, Row]) -> QuerySet[Job, Row]:
    """All jobs by id from row number ``start`` on, beginning at that row's block."""
    block, before, jobs = store().block_of(start)
    first, further = block * JobBlock.BLOCK, start - before
    if jobs == JobBlock.BLOCK and further < jobs:  # no gaps: the row's number is its id
        return everything.filter(pk__gte=first + further).order_by("id")
    return everything.filter(pk__gte=first).order_by("id")[further:]


def forget(job_ids: Iterable[int]) -> None:
    """Jobs with these ids are deleted in this very transaction. Call it before the deletion."""
    mark = _locked()
    gone = Counter(job_id // JobBlock.BLOCK for job_id in job_ids if job_id < mark.below)
    for block, jobs in gone.items():
        JobBlock.objects.filter(pk=block).update(jobs=F("jobs") - jobs)


def uncounted() -> QuerySet[Job]:
    """The newest job, if it is in no block yet.

    No other is compared with the watermark: PostgreSQL, which does not know it while planning, would expect a third of
    all jobs above it, and read them all to find the first.
    """
    newest = Job.objects.order_by("-id").values("id")[:1]
    below = Watermark.objects.filter(pk=1).values("below")
    return Job.objects.filter(pk=Subquery(newest)).filter(pk__gte=Coalesce(Subquery(below), 0))


def advance() -> int:
    """Move the watermark as far as open transactions allow. Returns how many ids it moved."""
    with transaction.atomic():
        mark = _locked()
        moved = 0
        if mark.candidate > mark.below and store().all_before_have_ended(mark.candidate_xid):
            first = _first_from(mark.below)  # ids may have a gap of any size
            target = mark.candidate if first is None else min(mark.candidate, first + _STEP)
            moved = target - mark.below
            store().count_into_blocks(mark.below, target, block=JobBlock.BLOCK)
            mark.below = target
        if mark.below >= mark.candidate:
            newest = Job.objects.order_by("-id").values_list("id", flat=True).first()
            mark.candidate = (newest or 0) + 1
            mark.candidate_xid = store().transaction_number()
        mark.save()
    return moved


def _first_from(job_id: int) -> int | None:
    return Job.objects.filter(pk__gte=job_id).order_by("id").values_list("id", flat=True).first()


def _locked() -> Watermark:
    mark = Watermark.objects.select_for_update().filter(pk=1).first()
    if mark is None:
        Watermark.objects.bulk_create([Watermark()], ignore_conflicts=True)
        mark = Watermark.objects.select_for_update().get(pk=1)
    return mark
