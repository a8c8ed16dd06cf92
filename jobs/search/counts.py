"""How many jobs there are in each state, for the tabs of a list. Nothing here walks through all jobs."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from jobs.models import Job
from jobs.sql import totals
from jobs.states import Status
from jobs.waiting_rows import PARTS, Part

COUNTED: Final = 10_000

_PARTS: Final = (
    *((Status.SCHEDULED, part) for part in PARTS),
    (Status.RUNNING, Part(Q(), ("id",))),
    (Status.EXCEPTION, Part(Q(), ("id",))),
)
_COUNTS: Final = totals.Counts(
    *(Job.objects.filter(part.condition, status=status.value).order_by(*part.order) for status, part in _PARTS)
)


@dataclass(frozen=True)
class Counted:
    number: int
    is_more: bool = False  # than the number counted

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.is_more else ''}"


def in_each_state() -> dict[Status | None, Counted]:
    """``None`` stands for all of them. FINISHED is what remains, if the others could all be counted."""
    sums = Counter[Status]()
    for (status, _), number in zip(_PARTS, totals.up_to(COUNTED + 1, _COUNTS), strict=True):
        sums[status] += number
    found: dict[Status | None, Counted] = {None: Counted(totals.total(Job.objects.all()))}
    for status, number in sums.items():
        found[status] = Counted(COUNTED, is_more=True) if number > COUNTED else Counted(number)
    if not any(count.is_more for count in found.values()):
        left = found[None].number - sum(sums.values())
        found[Status.FINISHED] = Counted(max(0, left))  # they were not counted in one moment
    return found
