"""Jobs that must not start before a second person has approved them: whether a new job is one of them, and putting it
aside.

Such a job is SCHEDULED and ``unapproved``. It is also ``parked``: it has no message, and nobody sends it one. No claim,
and no line for a lock, counts an unapproved job.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from jobs.authors import refusing
from jobs.errors import JobArgumentError
from jobs.models import Job, JobApproval
from jobs.schedulable import Ending, Schedulable


def why_needed(task: Schedulable, arguments: Mapping[str, Any], ending: Ending | None) -> str | None:
    """Why this job needs approval, in words; None if it needs none.

    Args:
        ending: the job that schedules this one as it ends.

    Raises:
        JobArgumentError: the author's function failed.
    """
    if task.approval is None:
        return None
    with refusing(f"the approval of {task.name}", JobArgumentError):
        why = task.approval(arguments, ending)
        if not isinstance(why, str | None):
            raise TypeError(f"{why!r:.60} is neither text nor None")
    return why


def put_aside(row: Job) -> None:
    """Let the job wait for approval. Call it before the row is inserted."""
    row.unapproved, row.parked, row.dispatched_at = True, True, None


def ask(rows: Sequence[Job], reasons: Mapping[int, str]) -> None:
    """Ask for the approval of those that need it. Call it in the transaction that inserts the rows.

    Args:
        reasons: why they need approval, by their place among ``rows``.
    """
    now = database_now()
    until = now + timedelta(seconds=conf.approval_seconds)
    JobApproval.objects.bulk_create(
        [JobApproval(job=rows[place], why=why, asked_at=now, expires_at=until) for place, why in reasons.items()]
    )
