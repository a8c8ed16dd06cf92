"""Counts the jobs that ended, each once, behind all open transactions: by the number of its last change.

A job's end is its last change. What an open transaction may yet commit has a number that was given out already, so
counting stays below the lowest of these, and an end that commits late is counted late.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, Q

from cnaasjobs.db.clock import database_now
from cnaasjobs.db.exclusive import exclusively
from jobs.metric_models import MetricMark
from jobs.metrics import kept, tally
from jobs.metrics.families import DEVICES, ENDED, LATE, RUN, WAIT
from jobs.metrics.kept import Additions
from jobs.models import Job, JobDevice, JobStep
from jobs.sql import store
from jobs.states import DeviceState, Status, Step

AT_ONCE: Final = 5000
_FIELDS: Final = (
    *("id", "change", "function_name", "status", "exception_type", "scheduled_time", "start_time", "finish_time"),
    *("dispatched_at", "lock_name"),
)
FINISHED, FAILED_DEVICES = "finished", "failed devices"


def fold() -> int:
    """A step of upkeep. Returns 0: no news."""
    with exclusively("metrics") as mine:
        if mine:
            while _fold_some():
                pass
    return 0


def flush() -> None:
    """Store what this process saw."""
    seen = tally.taken()
    if not seen:
        return
    try:
        with transaction.atomic():
            kept.add(seen, _locked_mark())
    except BaseException:
        tally.give_back(seen)
        raise


def _fold_some() -> bool:
    """True if there is more to do."""
    now = store().position()
    horizon = min([*now.open, now.top + 1])
    seen = tally.taken()
    try:
        with transaction.atomic():
            mark = _locked_mark()
            if mark.feed != now.feed:
                mark.feed, mark.upto, mark.since = now.feed, horizon - 1, database_now()
                jobs: list[dict[str, Any]] = []
                more = False
            else:
                jobs, upto = _ended(mark, horizon)
                more = upto < horizon - 1
                mark.upto = max(mark.upto, upto)
            if jobs:
                _count(jobs, seen)
            if seen:
                kept.add(seen, mark)
            mark.save()
    except BaseException:
        tally.give_back(seen)
        raise
    return more


def _ended(mark: MetricMark, horizon: int) -> tuple[list[dict[str, Any]], int]:
    """The next jobs, and up to which change these are all."""
    ended = Job.objects.filter(change__gt=mark.upto, finish_time__gte=mark.since).order_by("change")
    jobs = list(ended.filter(change__lt=horizon).values(*_FIELDS)[:AT_ONCE])
    if len(jobs) < AT_ONCE:
        return jobs, horizon - 1
    last = jobs[-1]["change"]  # one transaction may have ended more than fit
    whole = [job for job in jobs if job["change"] < last]
    return (whole, last - 1) if whole else (list(ended.filter(change=last).values(*_FIELDS)), last)


def _count(jobs: list[dict[str, Any]], to: Additions) -> None:
    ids = [job["id"] for job in jobs]
    devices = _devices(ids)
    parked = _parked(job["id"] for job in jobs if job["lock_name"])
    for job in jobs:
        of_job = devices.get(job["id"])
        to.count(ENDED, job["function_name"], _outcome(job, of_job))
        for outcome, number in (of_job or {}).items():
            if number:
                to.count(DEVICES, outcome, by=number)
        started: datetime | None = job["start_time"]
        if started is None:
            continue
        to.observe(RUN, job["function_name"], seconds=(job["finish_time"] - started).total_seconds())
        to.observe(LATE, seconds=(started - job["scheduled_time"]).total_seconds())
        sent = job["dispatched_at"] or job["scheduled_time"]
        to.observe(WAIT, "slot", seconds=(started - sent).total_seconds())
        if job["id"] in parked:
            to.observe(WAIT, "lock", seconds=(sent - parked[job["id"]]).total_seconds())


def _outcome(job: dict[str, Any], devices: dict[str, int] | None) -> str:
    if job["status"] != Status.FINISHED:
        return str(job["exception_type"])
    return FAILED_DEVICES if devices and devices["failed"] else FINISHED


def _devices(ids: list[int]) -> dict[int, dict[str, int]]:
    done, failed = Q(state=DeviceState.DONE.value), Q(failed=True)
    rows = JobDevice.objects.filter(job_id__in=ids).order_by().values("job_id")
    counted = rows.annotate(
        ok=Count("pk", filter=done & ~failed), failed=Count("pk", filter=failed), undone=Count("pk", filter=~done)
    )
    return {row["job_id"]: {"ok": row["ok"], "failed": row["failed"], "not begun": row["undone"]} for row in counted}


def _parked(ids: Iterable[int]) -> dict[int, datetime]:
    """When those that waited for their lock began to."""
    steps = JobStep.objects.filter(job_id__in=list(ids), step=Step.PARKED.value).order_by("-id")
    return dict(steps.values_list("job_id", "time"))


def _locked_mark() -> MetricMark:
    mark = MetricMark.objects.select_for_update().filter(pk=1).first()
    if mark is None:
        MetricMark.objects.bulk_create([MetricMark(since=database_now())], ignore_conflicts=True)
        mark = MetricMark.objects.select_for_update().get(pk=1)
    return mark
