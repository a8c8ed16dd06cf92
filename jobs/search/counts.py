"""How many jobs there are in each state: for the tabs of a list. None of it walks through all jobs."""

from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from jobs.models import Job
from jobs.sql import totals
from jobs.states import Status

COUNTED: Final = 10_000

# Waiting jobs, in the parts that each have a partial index.
WAITING: Final = (
    Q(dispatched_at__isnull=False),
    Q(dispatched_at__isnull=True, parked=False),
    Q(dispatched_at__isnull=True, parked=True, lock_name__isnull=False),
)


@dataclass(frozen=True)
class Count:
    number: int
    is_more: bool = False  # than that

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.is_more else ''}"


def in_each_state() -> dict[Status | None, Count]:
    """None: all of them. The finished ones are those that are left, if the others could be counted."""
    found: dict[Status | None, Count] = {
        None: Count(totals.total(Job.objects.all())),
        Status.SCHEDULED: _counted(Status.SCHEDULED, *WAITING),
        Status.RUNNING: _counted(Status.RUNNING, Q()),
        Status.EXCEPTION: _counted(Status.EXCEPTION, Q()),
    }
    others = [count for status, count in found.items() if status]
    if not any(count.is_more for count in others):
        left = found[None].number - sum(count.number for count in others)
        found[Status.FINISHED] = Count(max(0, left))  # they were not counted in one moment
    return found


def _counted(status: Status, *parts: Q) -> Count:
    number = sum(Job.objects.filter(part, status=status.value).order_by()[: COUNTED + 1].count() for part in parts)
    return Count(COUNTED, is_more=True) if number > COUNTED else Count(number)
