"""Jobs that were chosen to act on: by their ids, or all that a search finds. Bounded; it says how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from cnaasjobs.db.clock import database_now
from jobs.models import Job, JobDevice
from jobs.search.find import search
from jobs.search.qualifiers import condition_of
from jobs.sql import waiting
from jobs.states import TERMINAL, JobDeviceState, Status

_COUNTED = 10_000


@dataclass(frozen=True, kw_only=True)
class Chosen:
    jobs: list[Job]  # the newest of them, at most as many as asked for
    total: int  # how many could be acted on
    is_more: bool = False  # there may be more than ``total``
    left_out: int = 0  # jobs that were named but can't be acted on
    gave_up: str | None = None  # why the search is incomplete


def abortable(*, most: int, ids: Sequence[int] | None = None, text: str = "") -> Chosen:
    """The chosen jobs that can be aborted: they wait or run, and were not told to stop.

    Raises:
        SearchError: what was typed cannot be understood.
    """
    matching = _rows().filter(abort_reason__isnull=True)
    if ids is not None:
        live = matching.filter(pk__in=ids, status__in=[Status.SCHEDULED.value, Status.RUNNING.value])
        jobs = list(live.order_by("-id"))
        return Chosen(jobs=jobs[:most], total=len(jobs), left_out=len(ids) - len(jobs))
    matching = matching.filter(condition_of(text, now=database_now()))
    parts = [matching.filter(status=Status.RUNNING.value).order_by("id")]
    parts += [matching.filter(part, status=Status.SCHEDULED.value).order_by(*order) for part, order in waiting.parts()]
    total = sum(part[: _COUNTED + 1].count() for part in parts)
    found = [job for part in parts for job in part.order_by("-id")[:most]]
    found.sort(key=lambda job: -job.pk)
    return Chosen(jobs=found[:most], total=min(total, _COUNTED), is_more=total > _COUNTED)


def with_failures(*, most: int, ids: Sequence[int] | None = None, text: str = "") -> Chosen:
    """The chosen jobs that have ended and left devices undone.

    Raises:
        SearchError: what was typed cannot be understood.
    """
    undone = JobDevice.objects.filter(Q(failed=True) | ~Q(state=JobDeviceState.DONE.value)).order_by()
    if ids is not None:
        rows = _rows().filter(pk__in=ids, status__in=[status.value for status in TERMINAL])
        left = set(undone.filter(job_id__in=ids).values_list("job_id", flat=True).distinct())
        jobs = [job for job in rows.order_by("-id") if job.pk in left]
        return Chosen(jobs=jobs[:most], total=len(jobs), left_out=len(ids) - len(jobs))
    found = search(text, size=4 * most)
    ended = [job for job in found.jobs if job.status in TERMINAL]
    left = set(undone.filter(job_id__in=[job.pk for job in ended]).values_list("job_id", flat=True).distinct())
    jobs = [job for job in ended if job.pk in left]
    return Chosen(
        jobs=jobs[:most],
        total=len(jobs),
        is_more=found.before is not None,
        gave_up=found.gave_up,
    )


def _rows() -> QuerySet[Job]:
    return Job.objects.defer("finished_devices", "start_arguments")
