"""The chain that a job belongs to: dry run → live → again on what failed, linked in both directions."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from django.db.models import Q, QuerySet, Value

from cnaasjobs.db.built import Built
from jobs.models import Job, JobLink
from jobs.states import CameOf
from jobs.waiting.progress import looks_of

_LONGEST: Final = 10
_WIDEST: Final = 30
_NEXT: Final = "next"
_WORDS: Final = {
    CameOf.AGAIN.value: "#{} run again",
    CameOf.FAILED.value: "runs again what #{} left undone",
    CameOf.PLAN.value: "applies what #{} showed",
    _NEXT: "scheduled by #{}",
}


class Came(NamedTuple):
    job_id: int
    of_id: int
    how: str


class Member(NamedTuple):
    job: Job | None  # None: pruned
    look: str
    job_id: int
    of_id: int | None
    how: str  # how it came about
    is_this: bool


def chain_of(job: Job) -> list[Member]:
    """Empty for a job that stands alone."""
    near = list(_came(_NEIGHBOURS.rows(job.pk)))
    if not near:
        return []
    came = {each.job_id: each for each in _back(next((each for each in near if each.job_id == job.pk), None))}
    root = next((each.of_id for each in came.values() if each.of_id not in came), job.pk)
    for each in _onward(root):
        came.setdefault(each.job_id, each)
    if not came:
        return []
    ids = sorted({root, *came})[:_WIDEST]
    rows = Job.objects.defer("finished_devices", "start_arguments").in_bulk(ids)
    looks = looks_of(rows.values())
    return [
        Member(
            job=rows.get(job_id),
            look=looks.get(job_id, ""),
            job_id=job_id,
            of_id=came[job_id].of_id if job_id in came else None,
            how=came[job_id].how if job_id in came else "",
            is_this=job_id == job.pk,
        )
        for job_id in ids
    ]


def _back(found: Came | None) -> Iterator[Came]:
    for _ in range(_LONGEST):
        if found is None:
            return
        yield found
        found = next(_of([found.of_id]), None)


def _of(ids: list[int]) -> Iterator[Came]:
    links = JobLink.objects.filter(job_id__in=ids).values_list("job_id", "of_id", "kind")
    yield from _came(links.union(_next_jobs().filter(next_job_id__in=ids)))


def _onward(root: int) -> Iterator[Came]:
    ids, seen = [root], {root}
    for _ in range(_LONGEST):
        links = JobLink.objects.filter(of_id__in=ids).values_list("job_id", "of_id", "kind")
        named = links.union(_next_jobs().filter(pk__in=ids, next_job_id__isnull=False)).order_by("job_id")
        found = [each for each in _came(named[:_WIDEST]) if each.job_id not in seen]
        if not found:
            return
        yield from found
        ids = [each.job_id for each in found]
        seen.update(ids)


def _neighbours(job_id: int) -> QuerySet[Any, tuple[Any, ...]]:
    """The jobs that this job came from, and those that came from it."""
    links = JobLink.objects.filter(Q(job_id=job_id) | Q(of_id=job_id)).order_by()
    named = Q(next_job_id=job_id) | Q(pk=job_id, next_job_id__isnull=False)
    return links.values_list("job_id", "of_id", "kind").union(_next_jobs().filter(named)).order_by("job_id")[:_WIDEST]


_NEIGHBOURS: Final = Built(_neighbours)  # most jobs have none


def _next_jobs() -> QuerySet[Job, tuple[Any, ...]]:
    """The links that jobs hold in their own row, as their ``next_job_id``."""
    return Job.objects.order_by().values_list("next_job_id", "id", Value(_NEXT))


def _came(rows: Iterable[tuple[Any, ...]]) -> Iterator[Came]:
    return (Came(job_id, of_id, _WORDS[kind].format(of_id)) for job_id, of_id, kind in rows)
