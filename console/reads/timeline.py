"""The last 24 hours: when which function ran and which lock was held, in columns of ten minutes.

It reads at most some thousands of jobs, however many there were. Where there were more, each column shows some of its
jobs; exceptions are looked for separately, so that none is missed among many jobs that went well.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from django.db.models import QuerySet

from cnaasjobs.db.clock import database_now
from jobs.models import Job
from jobs.search.overview import JobSpan, ended_in_columns
from jobs.states import Status

DAY: Final = timedelta(hours=24)
COLUMN: Final = timedelta(minutes=10)
COLUMNS: Final = DAY // COLUMN
ALL: Final = 5_000  # up to this many ended jobs, all are read
SOME: Final = 30  # of each column, where there were more
EXCEPTIONS: Final = 500
RUNNING: Final = 500
FUNCTIONS: Final = 12  # lanes; the rest shares one
LOCKS: Final = 6
LINKS: Final = 5
OTHERS: Final = "all others"

_FIELDS: Final = ("id", "function_name", "lock_name", "status", "start_time", "finish_time")  # in the order of JobSpan


@dataclass(kw_only=True)
class Lane:
    """One row of the picture, and of its table."""

    name: str
    ended: int = 0
    exceptions: list[JobSpan] = field(default_factory=list)  # the newest first
    running: list[JobSpan] = field(default_factory=list)
    longest: JobSpan | None = None
    last: JobSpan | None = None
    hours: Counter[int] = field(default_factory=Counter)  # jobs that ended, by hours since the beginning
    _cells: dict[str, set[int]] = field(default_factory=lambda: {"ok": set(), "running": set(), "exception": set()})

    @property
    def is_named(self) -> bool:
        return self.name != OTHERS

    @property
    def failed(self) -> int:
        return len(self.exceptions)

    @property
    def newest_exceptions(self) -> list[JobSpan]:
        return self.exceptions[:LINKS]

    @property
    def some_running(self) -> list[JobSpan]:
        return self.running[:LINKS]

    @property
    def more_running(self) -> int:
        return len(self.running[LINKS:])

    @property
    def paths(self) -> Iterator[tuple[str, str]]:
        """What is drawn: a CSS class, and the outline of all its rectangles in a box of COLUMNS × 10."""
        for name, top in (("ok", 4), ("running", 4), ("exception", 0)):
            if cells := self._cells[name]:
                yield name, "".join(f"M{x} {top}h{width}v{10 - top}h-{width}z" for x, width in _merged(cells))

    def add(self, span: JobSpan, since: datetime) -> None:
        first = max(0, (span.start - since) // COLUMN)
        last = COLUMNS - 1 if span.finish is None else min(COLUMNS - 1, (span.finish - since) // COLUMN)
        columns = range(min(first, last), last + 1)
        if span.finish is None:
            self.running.append(span)
            self._cells["running"].update(columns)
            return
        self.ended += 1
        self.hours[(span.finish - since) // timedelta(hours=1)] += 1
        self._cells["ok"].update(columns)
        if span.status == Status.EXCEPTION:
            self.exceptions.append(span)
            self._cells["exception"].add(last)
        if self.longest is None or span.length > self.longest.length:
            self.longest = span
        if self.last is None or self.last.finish is None or span.finish > self.last.finish:
            self.last = span


class Hour(NamedTuple):
    begin: datetime
    counts: list[int]  # of each lane, what ended in it


@dataclass(frozen=True, kw_only=True)
class Timeline:
    since: datetime
    until: datetime
    functions: Sequence[Lane]
    locks: Sequence[Lane]
    is_sample: bool  # there were more jobs than are shown
    misses_exceptions: bool

    @property
    def marks(self) -> list[datetime]:
        """The times below which the picture is divided into six."""
        return [self.since + timedelta(hours=hours) for hours in range(0, 24, 4)]

    @property
    def by_hour(self) -> list["Hour"]:
        """The newest hour first, as the picture has them from right to left."""
        return [
            Hour(self.since + timedelta(hours=hour), [lane.hours[hour] for lane in self.functions])
            for hour in reversed(range(24))
        ]


def timeline() -> Timeline:
    now = database_now()
    since = now - DAY
    ended, is_sample = _ended(since, now)
    running = _rows(Job.objects.filter(status=Status.RUNNING.value).order_by("id")[:RUNNING])
    spans = sorted({span.job_id: span for span in (*ended, *running)}.values(), key=lambda span: -span.job_id)
    locked = [(span.lock_name, span) for span in spans if span.lock_name]
    return Timeline(
        since=since,
        until=now,
        functions=_lanes([(span.function_name, span) for span in spans], since, FUNCTIONS),
        locks=_lanes(locked, since, LOCKS),
        is_sample=is_sample,
        misses_exceptions=is_sample and sum(span.status == Status.EXCEPTION for span in ended) >= EXCEPTIONS,
    )


def _ended(since: datetime, now: datetime) -> tuple[list[JobSpan], bool]:
    """The jobs that ran and have ended since then, or some of each column; and whether there are more."""
    ended = Job.objects.filter(start_time__isnull=False)
    newest = ended.filter(finish_time__gte=since).order_by("-finish_time")
    if newest.order_by()[: ALL + 1].count() <= ALL:
        return _rows(newest), False
    failed = _rows(ended.filter(status=Status.EXCEPTION.value).order_by("-id")[:EXCEPTIONS])
    some = ended_in_columns(since, COLUMN, COLUMNS, most=SOME)
    return some + [span for span in failed if span.finish and since <= span.finish <= now], True


def _rows(jobs: QuerySet[Job]) -> list[JobSpan]:
    return [JobSpan(*row) for row in jobs.values_list(*_FIELDS)]


def _lanes(named: Sequence[tuple[str, JobSpan]], since: datetime, most: int) -> list[Lane]:
    counted = Counter(name for name, _ in named)
    chosen = {name for name, _ in counted.most_common(None if len(counted) <= most + 1 else most)}
    lanes: dict[str, Lane] = {}
    for name, span in named:
        lane = name if name in chosen else OTHERS
        lanes.setdefault(lane, Lane(name=lane)).add(span, since)
    return sorted(lanes.values(), key=lambda lane: (not lane.is_named, lane.name))


def _merged(cells: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring columns joined: where each group begins, and how wide it is."""
    for _, group in groupby(enumerate(sorted(cells)), key=lambda placed: placed[1] - placed[0]):
        begin, *rest = (cell for _, cell in group)
        yield begin, 1 + len(rest)
