"""What stops a body, and what can be wrong with a request to the platform.

A job's ``exception.type`` is the name of the class that ended it: those that end a job are named as in
``jobs.end_reasons``.
"""

from typing import Self


class JobStopped(Exception):
    """Raised by ``ctx.checkpoint()`` when the body must stop. A body does not catch it."""


class JobAborted(JobStopped):
    """A person asked the job to stop."""


class LockLost(JobStopped):
    """The job's lock, or the run itself, was taken from it: another job may hold the lock by now."""

    @classmethod
    def of(cls, lock: str | None) -> Self:
        return cls(f"lock {lock} was cleared or taken over" if lock else "the job has no lock: its @job names none")


class TimeLimitExceeded(JobStopped):
    """The job ran longer than its soft time limit."""


class RightsWithdrawn(JobStopped):
    """The person who started the job may no longer do so, or not for all the devices that it selects now."""


class JobError(Exception):
    """Base of what can be wrong with a request to the platform."""


class JobArgumentError(JobError, ValueError):
    """The arguments do not fit the job's function, or cannot be stored."""


class JobNotFound(JobError, LookupError):
    def __init__(self, job_id: int) -> None:
        super().__init__(f"No job with id {job_id} found")
        self.job_id = job_id


class NotAllowed(JobError):
    """A user may not do this. The text names the permission, and what it does not reach."""


class JobNotAbortable(JobError):
    def __init__(self, job_id: int, status: str) -> None:
        super().__init__(f"Job id {job_id} is in state {status}, must be SCHEDULED or RUNNING to abort")
        self.job_id = job_id
        self.status = status


class NotWaitingForApproval(JobError):
    def __init__(self, job_id: int, status: str, decided: str = "") -> None:
        """``decided``: by whom and how, if somebody has."""
        super().__init__(
            f"Job id {job_id} is in state {status} and does not wait for approval{decided and ': '}{decided}"
        )
        self.job_id = job_id


class CannotApprove(JobError):
    """Something that the job's arguments name no longer exists, so that it could only fail. The text says what."""


class ResultNotStorable(JobError, TypeError):
    """The body returned what JSON cannot hold."""


class BodyExited(JobError):
    """The body raised an exception that would end the worker process (SystemExit, KeyboardInterrupt, MemoryError)."""
