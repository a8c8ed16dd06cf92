"""Waiting jobs, asked for so that it is quick after a backlog too.

Until its next ANALYZE PostgreSQL then takes them to be many, and thinks that it soon has a page of them: it reads jobs
in the order of their ids, perhaps all of them, for the few that are left. So where few wait they are asked for by their
ids, and it knows how many that is.
"""

from collections.abc import Sequence
from typing import Final

from django.db.models import Q

from jobs.models import Job
from jobs.sql import store, totals
from jobs.states import Status
from jobs.waiting_rows import PARTS, Part, any_part

FEW: Final = 500

_PARTS: Final = totals.Counts(
    *(Job.objects.filter(part.condition, status=Status.SCHEDULED.value).order_by(*part.order) for part in PARTS)
)


def parts() -> Sequence[Part]:
    """Conditions on SCHEDULED jobs; every waiting job meets exactly one of them."""
    ids = _few()
    return PARTS if ids is None else (Part(Q(pk__in=ids), ("id",)),)


def waiting() -> Q:
    """All waiting jobs."""
    ids = _few()
    return any_part() if ids is None else Q(pk__in=ids, status=Status.SCHEDULED.value)


def _few() -> list[int] | None:
    """The ids of all that wait, if they are few."""
    ids = store().ids_up_to(FEW + 1, _PARTS.compiled())
    return ids if len(ids) <= FEW else None
