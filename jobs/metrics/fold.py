"""Counts the jobs that ended, each once, behind all open transactions: by the number of its last change.

A job's end is its last change. What an open transaction may yet commit has a number that was given out already, so
counting stays below the lowest of these, and an end that commits late is counted late.
"""

from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from cnaasjobs.db.clock import database_now
from cnaasjobs.db.exclusive import exclusively
from jobs.metric_models import MetricMark
from jobs.metrics import counted_here, kept
from jobs.metrics.families import DEVICES, ENDED, LATE, RUN, SECONDS, WAIT
from jobs.metrics.kept import Additions
from jobs.sql import store
from jobs.sql.signature import FeedSpan

AT_ONCE: Final = 5000
FINISHED, FAILED_DEVICES = "finished", "failed devices"


def fold() -> int:
    """A step of upkeep. Always returns 0, so that it is never logged."""
    with exclusively("metrics") as mine:
        if mine:
            while _fold_some():
                pass
    return 0


def flush() -> None:
    """Store what this process saw. If another process is doing the same, leave it for later: that one may be frozen,
    and neither a scrape nor live events may wait for it.
    """
    seen = counted_here.taken()
    if not seen:
        return
    try:
        with transaction.atomic():
            mark = _mark().select_for_update(skip_locked=True).first()
            if mark is None:
                counted_here.give_back(seen)
            else:
                kept.add(seen, mark)
    except BaseException:
        counted_here.give_back(seen)
        raise


def _fold_some() -> bool:
    """True if there is more to do."""
    now = store().position()
    horizon = min([*now.open, now.top + 1])
    seen = counted_here.taken()
    try:
        with transaction.atomic():
            mark = _locked_mark()
            additions = Additions()  # if this fails, nothing need be given back: the jobs are counted again
            if mark.feed != now.feed:
                mark.feed, mark.upto, mark.since = now.feed, horizon - 1, database_now()
                more = False
            else:
                span = _next(mark, horizon)
                more = span.upto < horizon - 1
                _count(span, additions)
                mark.upto = max(mark.upto, span.upto)
            additions.include(seen)
            if additions:
                kept.add(additions, mark)
            mark.save()
    except BaseException:
        counted_here.give_back(seen)
        raise
    return more


def _next(mark: MetricMark, horizon: int) -> FeedSpan:
    """The next jobs to count: at most AT_ONCE, and all that ended in the same transaction as the last of them."""
    all_there_are = FeedSpan(mark.upto, horizon - 1, mark.since)
    last = store().last_of(all_there_are, AT_ONCE)
    return all_there_are if last is None else all_there_are._replace(upto=last)


def _count(span: FeedSpan, to: Additions) -> None:
    alike = store().count_ended(span, SECONDS)
    for each in alike:
        finished = FAILED_DEVICES if each.has_failed else FINISHED
        to.count(ENDED, each.function, each.exception_type or finished, by=each.jobs)
        families = (RUN, (each.function,)), (LATE, ()), (WAIT, ("slot",)), (WAIT, ("lock",))
        for (family, labels), bucket, seconds in zip(families, each.buckets, each.seconds, strict=True):
            if bucket is not None and seconds is not None:
                to.observe(family, *labels, bucket=bucket, times=each.jobs, seconds=seconds)
    devices = store().count_devices(span) if alike else (0, 0, 0)
    for outcome, number in zip(("ok", "failed", "not begun"), devices, strict=True):
        if number:
            to.count(DEVICES, outcome, by=number)


def _locked_mark() -> MetricMark:
    return _mark().select_for_update().get()


def _mark() -> QuerySet[MetricMark]:
    """The table's one row, which is made if it is missing."""
    rows = MetricMark.objects.filter(pk=1)
    if not rows.exists():
        MetricMark.objects.bulk_create([MetricMark(since=database_now())], ignore_conflicts=True)
    return rows.all()
