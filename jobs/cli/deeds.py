"""What a person at the shell changes, in the name of the shell's user."""

from collections.abc import Mapping
from functools import partial
from typing import Unpack

from jobs.audit import trail
from jobs.audit.accounts import COMMAND_LINE, operator
from jobs.cli.given import value_of
from jobs.models import Job
from jobs.operating import aborting, again, approving, starting
from jobs.operating.again import CannotRunAgain
from jobs.schedulable import ScheduleOptions
from jobs.states import CameOf
from locks import service as locks

__all__ = ["CannotRunAgain", "abort", "approve", "clear", "reject", "rerun", "start"]


def _here() -> trail.By:
    return trail.By(who=operator(), origin=COMMAND_LINE, user=None)


def start(function: str, typed: Mapping[str, str], **options: Unpack[ScheduleOptions]) -> Job:
    """Raises JobArgumentError."""
    task = starting.task_named(function)
    arguments = {name: value_of(text, why_not=partial(task.why_not, name)) for name, text in typed.items()}
    return starting.start(task, arguments, by=_here(), **options)


def abort(job_id: int, *, reason: str) -> Job:
    """Raises JobNotFound, JobNotAbortable."""
    return aborting.abort(job_id, reason=reason, by=_here())


def approve(job_id: int, *, comment: str) -> Job:
    """Raises JobNotFound, NotWaitingForApproval, NotAllowed."""
    return approving.approve(job_id, by=_here(), comment=comment)


def reject(job_id: int, *, comment: str) -> Job:
    """Raises JobNotFound, NotWaitingForApproval."""
    return approving.reject(job_id, by=_here(), comment=comment)


def rerun(job_id: int, *, comment: str | None, only_failed: bool = False) -> Job:
    """A new job with the arguments of one that has ended, or for the devices that this left undone.

    What is left out of its texts is the old one's.

    Raises:
        JobNotFound, CannotRunAgain, JobArgumentError.
    """
    return again.run(
        again.proposal(job_id, CameOf.FAILED if only_failed else CameOf.AGAIN), by=_here(), comment=comment
    )


def clear(name: str) -> int:
    """The job that held the lock. Raises LockNotFound."""
    return locks.clear(name, who=operator(), origin=COMMAND_LINE, user=None).holder_id
