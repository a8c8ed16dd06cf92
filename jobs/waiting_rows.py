"""Which rows are waiting jobs: conditions on SCHEDULED jobs, one for each partial index that ``jobs.models.Job`` has.

Asked for all at once (``status = SCHEDULED``), no such index fits, and the database may look through all jobs that have
ended. So whoever counts or searches waiting jobs asks for these parts one by one, or for ``any_part``; mostly by
``jobs.sql.waiting``, which names them if they are few. Who counts only up to a number does it in the index's order.
Without an order PostgreSQL may scan the table itself: its statistics may still count many waiting jobs, so it expects
to find enough soon.
"""

from typing import Final, NamedTuple

from django.db.models import Q

from cnaasjobs.db.clock import DatabaseNow
from jobs.states import Status


class Part(NamedTuple):
    condition: Q
    order: tuple[str, ...]  # of its index


SENT: Final = Q(dispatched_at__isnull=False)  # its message was sent, or is about to be
UNSENT: Final = Q(dispatched_at__isnull=True, parked=False)  # Beat sends its message when it is due
PARKED: Final = Q(dispatched_at__isnull=True, parked=True, lock_name__isnull=False)  # it gets none until it is woken
SENT_FIRST: Final = ("queue", "dispatched_at")
DUE_FIRST: Final = ("scheduled_time", "id")
LINE_FIRST: Final = ("lock_name", "scheduled_time", "id")
PARTS: Final = (  # every waiting job is in exactly one of them
    Part(SENT, SENT_FIRST),
    Part(UNSENT, DUE_FIRST),
    Part(PARKED, LINE_FIRST),
)


def any_part() -> Q:
    """All waiting jobs, by the conditions of those indexes; a line's has also jobs that are in no line yet."""
    return Q(status=Status.SCHEDULED.value) & (UNSENT | SENT | Q(lock_name__isnull=False))


def in_line() -> Q:
    """Jobs in the line of their lock, parked or not: they need one, are due, and wait for nobody's approval."""
    return Q(lock_name__isnull=False, scheduled_time__lte=DatabaseNow(), unapproved__isnull=True)
