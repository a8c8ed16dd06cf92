"""What tests find in the database, made in one place for all of them.

``jobs`` and ``workers`` make it by the product's own functions, in the state that is asked for. ``rows`` writes
finished rows directly, many at once too, for tests of reading. ``schedules`` makes recurring ones, as the admin does.
"""

from tests.factory.jobs import claim, claimed, job_in, refused
from tests.factory.rows import NOON, audit_entries, device_row, heartbeat, hold_lock, job_row, job_rows
from tests.factory.schedules import ago, at, by, daily, every
from tests.factory.workers import Worker, run_on

__all__ = [
    "NOON",
    "Worker",
    "ago",
    "at",
    "audit_entries",
    "by",
    "claim",
    "claimed",
    "daily",
    "device_row",
    "every",
    "heartbeat",
    "hold_lock",
    "job_in",
    "job_row",
    "job_rows",
    "refused",
    "run_on",
]
