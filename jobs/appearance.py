"""How a job's state looks on every page: a look and a mark for its status, a note for what the four states don't show.

In words and shape first, in colour second.
"""

from collections.abc import Mapping
from typing import Final

from jobs.end_reasons import EndReason
from jobs.models import Job
from jobs.states import Status

MARKS: Final[Mapping[str, str]] = {
    "scheduled": "◷",
    "running": "▶\ufe0e",
    "finished": "✓",
    "exception": "✕",
    "aborted": "■",
    "lost": "!",
}


def look_of(status: str, exception_type: str | None, *, failed: int | None) -> str:
    """The class of a status in a style sheet. Aborted and lost jobs do not look like failed ones.

    Args:
        failed: how many of its devices failed, where that is known: a job of which some did does not look as if all
            went well. A page asks ``jobs.waiting.progress``.
    """
    if status != Status.EXCEPTION:
        return "lost" if failed and status == Status.FINISHED else status.lower()
    reason = EndReason.of(exception_type)
    if reason is EndReason.JOB_ABORTED:
        return "aborted"
    return "lost" if reason is not None and reason.is_lost else "exception"


def note_of(job: Job) -> str:
    match job.status:
        case Status.EXCEPTION:
            return job.exception_type or ""
        case Status.RUNNING if job.abort_reason is not None:
            return "told to stop"
        case Status.SCHEDULED if job.unapproved:
            return "waits for approval"
        case Status.SCHEDULED if job.parked:
            return "in line"
    return ""
