"""What the state machine reads after each call, some ten thousand times in all.

Django would build each of these queries for longer than it runs.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cnaasjobs.db.built import Built
from jobs.models import Job, JobApproval, JobOutcome
from locks import service as locks


class Row(NamedTuple):
    """What the database has of one job."""

    pk: int
    status: str
    run_token: UUID | None
    attempt: int
    exception_type: str | None
    abort_reason: str | None
    scheduled_time: datetime
    finish_time: datetime | None
    unapproved: bool | None
    parked: bool
    dispatched_at: datetime | None
    fence: int | None


_ROWS = Built(lambda _: Job.objects.order_by("id").values_list(*Row._fields))
UNDECIDED = Built(lambda _: JobApproval.objects.filter(verdict="").values_list("pk"))
ENDED = Built(lambda _: JobOutcome.objects.values_list("pk"))
HOLDERS = Built(lambda _: locks.held().values_list("holder_id"))


def job_rows() -> dict[int, Row]:
    """All jobs, by id."""
    return {row.pk: row for row in map(Row._make, _ROWS.rows())}


def numbers(query: Built) -> list[int]:
    return [number for (number,) in query.rows()]
