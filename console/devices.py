"""The devices of one job as its page shows them: the outcome of each, failed ones first, then by name, in pages."""

import json
import operator
from collections import namedtuple
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial, reduce
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Sign
from django.http import QueryDict
from django.urls import reverse

from cnaasjobs.db.built import Built
from cnaasjobs.indented import indented_text
from jobs.models import Job, JobDevice
from jobs.result_views import Section, view_of
from jobs.search.qualifiers import names_in
from jobs.states import TERMINAL, JobDeviceState
from jobs.waiting.progress import Progress

PER_PAGE: Final = 100
LONGEST: Final = 2000  # characters of what is searched for
_DONE_WELL: Final = Q(state=JobDeviceState.DONE.value, failed=False)
_CHANGED: Final = _DONE_WELL & (Q(changed=True) | Q(changed__isnull=True, change_score__gt=0))
_UNCHANGED: Final = _DONE_WELL & (
    Q(changed=False) | Q(changed__isnull=True, change_score__isnull=True) | Q(changed__isnull=True, change_score=0)
)

# What can have become of a device, in the order of the page.
GROUPS: Final[dict[str, Q]] = {
    "failed": Q(failed=True),
    "changed": _CHANGED,
    "taken": Q(state=JobDeviceState.TAKEN.value),
    "waiting": Q(state=JobDeviceState.WAITING.value),
    "unchanged": _UNCHANGED,
}
_RANK: Final = Case(
    *(When(condition, then=Value(place)) for place, condition in enumerate(GROUPS.values())),
    output_field=IntegerField(),
)
_SHOWN: Final = (
    "job_id",
    "place",
    "host",
    "state",
    "failed",
    "reason",
    "change_score",
    "changed",
    "step",
    "worker",
    "start_time",
    "finish_time",
)
_Row: Any = namedtuple("_Row", _SHOWN)  # type: ignore[misc]  # the names are those above


@dataclass(frozen=True, kw_only=True)
class DeviceQuery:
    """Which devices a page's URL asks for."""

    name: str = ""  # a part of its name, or of the reason why it failed; or a list of names
    only: str = ""  # a group, or all
    page: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> "DeviceQuery":
        only, page = query.get("only", ""), query.get("page", "1")
        return cls(
            name=query.get("device", "").replace("\x00", "").strip()[:LONGEST],
            only=only if only in GROUPS else "",
            page=max(1, int(page[:6])) if page.isascii() and page.isdigit() else 1,
        )

    def query(self, **changed: Any) -> str:
        values = {"device": self.name, "only": self.only, "page": self.page, **changed}
        return urlencode({name: value for name, value in values.items() if value not in ("", 1)})


@dataclass(frozen=True, kw_only=True)
class Group:
    """A tab above the list."""

    title: str
    key: str
    number: int
    query: str
    is_here: bool


@dataclass(frozen=True, kw_only=True)
class Line:
    row: JobDevice
    url: str
    group: str
    word: str

    @property
    def took(self) -> timedelta | None:
        return self.row.finish_time - self.row.start_time if self.row.finish_time and self.row.start_time else None


@dataclass(frozen=True, kw_only=True)
class Devices:
    wanted: DeviceQuery
    total: int
    numbers: dict[str, int]
    groups: list[Group]
    lines: list[Line]
    last_page: int
    progress: Progress | None  # None: only some were looked for

    @property
    def older(self) -> str | None:
        return self.wanted.query(page=self.wanted.page + 1) if self.wanted.page < self.last_page else None

    @property
    def newer(self) -> str | None:
        return self.wanted.query(page=self.wanted.page - 1) if self.wanted.page > 1 else None


def rows_of(job_id: int, wanted: DeviceQuery) -> QuerySet[JobDevice]:
    """All devices that the query asks for, without their reports, in the order of the page."""
    rows = _named(job_id, wanted.name)
    if wanted.only:
        rows = rows.filter(GROUPS[wanted.only])
    return rows.annotate(rank=_RANK).order_by("rank", "place").only(*_SHOWN)


def _page(job_id: int, wanted: DeviceQuery, numbers: Mapping[str, int], start: int) -> list[Any]:
    """The same from row number ``start`` on. It sorts only the groups that the page shows a part of."""
    before, first, groups = 0, start, list[str]()
    for key, number in numbers.items() if not wanted.only else [(wanted.only, numbers[wanted.only])]:
        if before + number <= start:
            first -= number
        elif before < start + PER_PAGE:
            groups.append(key)
        before += number
    if not groups:
        return []
    if wanted.name:
        return [_Row(*row) for row in _page_of(job_id, tuple(groups), first, wanted.name)]
    return [_Row(*row) for row in _built_page(tuple(groups), first).rows(job_id)]


def _page_of(job_id: int, groups: tuple[str, ...], first: int, name: str = "") -> QuerySet[JobDevice, tuple[Any, ...]]:
    shown = reduce(operator.or_, (GROUPS[key] for key in groups))
    rows = _named(job_id, name).filter(shown).annotate(rank=_RANK).order_by("rank", "place")
    return rows.values_list(*_SHOWN)[first : first + PER_PAGE]


@lru_cache(maxsize=100)
def _built_page(groups: tuple[str, ...], first: int) -> Built:
    return Built(partial(_page_of, groups=groups, first=first))


class _Tally(NamedTuple):
    """How many of a job's devices are in each group, and whether any is reported as changed."""

    numbers: dict[str, int]
    tells: bool


def _tally(job_id: int, name: str) -> _Tally:
    """The same counts, of the devices whose name contains ``name``."""
    numbers, tells = dict.fromkeys(GROUPS, 0), False
    for *alike, number in _alike(job_id, name) if name else _ALL_ALIKE.rows(job_id):
        row = _Alike(*alike)
        numbers[group_of(row)] += number
        tells = tells or row.changed is not None or row.change_score is not None
    return _Tally(numbers, tells)


class _Alike(NamedTuple):
    """The devices of a job that had the same outcome."""

    failed: bool
    state: str
    changed: bool | None
    change_score: float | None  # its sign


def _alike(job_id: int, name: str = "") -> QuerySet[JobDevice, tuple[Any, ...]]:
    counted = _named(job_id, name).order_by().values("failed", "state", "changed", sign=Sign("change_score"))
    alike: QuerySet[JobDevice, tuple[Any, ...]] = counted.annotate(number=Count("pk")).values_list(
        "failed", "state", "changed", "sign", "number"
    )
    return alike


_ALL_ALIKE: Final = Built(_alike)


def devices_of(job: Job, wanted: DeviceQuery) -> Devices | None:
    """None: the job does not go through devices, or has not begun, or kept no rows."""
    numbers, tells = _tally(job.pk, wanted.name)
    total = sum(numbers.values())
    if not total and not wanted.name:
        return None
    words = words_for(job, tells=tells)
    matching = numbers[wanted.only] if wanted.only else total
    last_page = max(1, -(-matching // PER_PAGE))
    above = reverse("console:job", args=[job.pk])
    start = (min(wanted.page, last_page) - 1) * PER_PAGE
    return Devices(
        wanted=wanted,
        total=total,
        numbers=numbers,
        groups=list(_groups(wanted, total, numbers, words)),
        lines=[_line(row, above, words) for row in _page(job.pk, wanted, numbers, start)],
        last_page=last_page,
        progress=None if wanted.name else _progress(numbers, total),
    )


def _named(job_id: int, text: str) -> QuerySet[JobDevice]:
    rows = JobDevice.objects.filter(job_id=job_id)
    if not text:
        return rows
    found, names = Q(host__icontains=text) | Q(reason__icontains=text), names_in(text)
    return rows.filter(found | Q(host__in=names) if len(names) > 1 else found)


def words_for(job: Job, *, tells: bool) -> dict[str, str]:
    """What the groups are called. A dry run changes nothing, and not every function says if it changed a device."""
    dry = json.loads(job.start_arguments).get("dry_run") is True
    ended = job.status in TERMINAL
    return {
        "failed": "failed",
        "changed": "would change" if dry else "changed",
        "taken": "in progress",
        "waiting": "not begun" if ended else "waiting",
        "unchanged": ("no change" if dry else "unchanged") if tells else "done",
    }


def group_of(row: JobDevice | _Alike) -> str:
    """The group that a row belongs to, by the same rules as GROUPS."""
    if row.failed:
        return "failed"
    if row.state != JobDeviceState.DONE:
        return row.state.lower()
    changed = row.changed if row.changed is not None else bool(row.change_score)
    return "changed" if changed else "unchanged"


def sections_of(job: Job, report: str | None) -> list[Section]:
    """What was reported about one device, in parts."""
    if not report:
        return []
    try:
        value = json.loads(report)
        found = view_of(job.task_name).sections(value)
        if found is None:
            found = [Section(title="Report", text=indented_text(report))]
    except RecursionError:  # too deep to be read
        found = [Section(title="Report", text=report)]
    return found


def _progress(numbers: dict[str, int], total: int) -> Progress:
    return Progress(done=total - numbers["taken"] - numbers["waiting"], total=total, failed=numbers["failed"])


def _groups(wanted: DeviceQuery, total: int, numbers: dict[str, int], words: dict[str, str]) -> Iterator[Group]:
    yield Group(title="All", key="", number=total, query=wanted.query(only="", page=1), is_here=not wanted.only)
    for key, number in numbers.items():
        if number or wanted.only == key:
            yield Group(
                title=words[key].capitalize(),
                key=key,
                number=number,
                query=wanted.query(only=key, page=1),
                is_here=wanted.only == key,
            )


def _line(row: JobDevice, above: str, words: dict[str, str]) -> Line:
    group = group_of(row)
    return Line(row=row, url=f"{above}/devices/{quote(row.host)}", group=group, word=words[group])
