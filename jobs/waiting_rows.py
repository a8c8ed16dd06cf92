"""Which rows are waiting jobs: conditions on SCHEDULED jobs, one for each partial index that ``jobs.models.Job`` has.

Asked for all at once (``status = SCHEDULED``), no such index fits, and the database may look through all jobs that have
ended. So whoever counts or searches waiting jobs asks for these parts one by one, or for ``any_part``.
"""

from typing import Final

from django.db.models import Q

from cnaasjobs.db.clock import DatabaseNow
from jobs.states import Status

SENT: Final = Q(dispatched_at__isnull=False)  # its message was sent, or is about to be
UNSENT: Final = Q(dispatched_at__isnull=True, parked=False)  # Beat sends its message when it is due
PARKED: Final = Q(dispatched_at__isnull=True, parked=True, lock_name__isnull=False)  # it gets none until it is woken
PARTS: Final = (SENT, UNSENT, PARKED)  # every waiting job is in exactly one of them


def any_part() -> Q:
    """All waiting jobs, by the conditions of those indexes; a line's has also jobs that are in no line yet."""
    return Q(status=Status.SCHEDULED.value) & (UNSENT | SENT | Q(lock_name__isnull=False))


def in_line() -> Q:
    """Jobs in the line of their lock, parked or not: they need one, are due, and wait for nobody's approval."""
    return Q(lock_name__isnull=False, scheduled_time__lte=DatabaseNow(), unapproved__isnull=True)
