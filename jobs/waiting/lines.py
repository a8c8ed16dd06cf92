"""Who holds a lock, and who waits for it, in the order in which they will get it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from jobs.dispatch import line
from jobs.models import Job
from locks import service as locks

COUNTED: Final = 1000  # jobs of one line; a longer one has "1000 or more"
SHOWN: Final = 10  # of one line, by name


@dataclass(frozen=True, kw_only=True)
class InLine:
    """One job in a line, or the one that holds the lock."""

    job_id: int
    function_name: str | None  # None: there is no such job any more
    scheduled_by: str | None
    since: datetime  # since when it has been due and in line, or has had the lock


@dataclass(frozen=True, kw_only=True)
class Holder(InLine):
    abort: bool  # it was asked to stop


@dataclass(frozen=True, kw_only=True)
class Line:
    """The present state of a lock."""

    name: str
    holder: Holder | None
    order: tuple[int, ...] = ()  # the jobs in line, the next one first, the first COUNTED of them
    first: tuple[InLine, ...] = ()  # of these the first SHOWN
    _places: Mapping[int, int] = field(default_factory=dict)

    def place_of(self, job_id: int) -> int | None:
        """1 is next. None: behind all that were counted."""
        return self._places.get(job_id)


def lines_of(names: Collection[str]) -> dict[str, Line]:
    """The lines of these locks. Two statements for each name, and two for all."""
    rows = locks.held().filter(name__in=names).values_list("name", "holder_id", "start_time")
    held = [(name, holder_id, since) for name, holder_id, since in rows if holder_id and since]
    jobs = {
        row["id"]: row
        for row in Job.objects.filter(pk__in={holder_id for _, holder_id, _ in held}).values(
            "id", "function_name", "scheduled_by", "abort_reason"
        )
    }
    holders = {name: _holder(holder_id, since, jobs.get(holder_id, {})) for name, holder_id, since in held}
    return {name: _line(name, holders.get(name)) for name in sorted(names)}


def all_lines() -> list[Line]:
    """The lines of all locks that are held or waited for, by name."""
    names = {*locks.held().values_list("name", flat=True), *line.names()}
    return list(lines_of(names).values())


def _holder(job_id: int, since: datetime, row: Mapping[str, Any]) -> Holder:
    return Holder(
        job_id=job_id,
        function_name=row.get("function_name"),
        scheduled_by=row.get("scheduled_by"),
        since=since,
        abort=row.get("abort_reason") is not None,
    )


def _line(name: str, holder: Holder | None) -> Line:
    waiting = line.of(name)
    order = tuple(waiting.values_list("id", flat=True)[:COUNTED])
    first = waiting.values_list("id", "function_name", "scheduled_by", "scheduled_time")[:SHOWN] if order else []
    return Line(
        name=name,
        holder=holder,
        order=order,
        first=tuple(
            InLine(job_id=job_id, function_name=function_name, scheduled_by=by, since=since)
            for job_id, function_name, by, since in first
        ),
        _places={job_id: place for place, job_id in enumerate(order, 1)},
    )
