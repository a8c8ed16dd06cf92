"""Why a job ended, and what can be wrong with a request to the platform.

A job's ``exception.type`` is the name of the class that ended it, so the names below are part of the API.
"""

import json
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The end of a job that did not finish, as stored: ``{"message", "type", "args", "traceback"}``."""

    type: str
    message: str
    args: tuple[str, ...] = ()
    traceback: str = ""

    @classmethod
    def of(cls, exc: BaseException, traceback: str = "") -> Self:
        """Describe an exception. Its text may be anything, its ``str`` may itself fail."""
        try:
            message = str(exc)
            args = tuple(str(arg) for arg in exc.args)
        except Exception as broken:  # noqa: BLE001 - the author's __str__ can raise anything; the job must end all the same
            message, args = f"{type(exc).__name__} that cannot be shown ({type(broken).__name__})", ()
        return cls(type=type(exc).__name__[:64], message=message or type(exc).__name__, args=args, traceback=traceback)

    def as_json(self) -> str:
        """The JSON text of the API; ``args`` is never empty and begins with the reason in words."""
        args = [*self.args] if self.args and self.args[0] else [self.message, *self.args[1:]]
        fields = {"message": self.message, "type": self.type, "args": args, "traceback": self.traceback}
        text = json.dumps(fields, ensure_ascii=False)
        # A lone surrogate has no UTF-8 and a NUL has no place in PostgreSQL: show them, don't lose the failure.
        return text.encode("utf-8", "backslashreplace").decode().replace("\\u0000", "\\ufffd")


class JobStopped(Exception):
    """Raised by ``ctx.checkpoint()`` when the body must stop. A body lets it pass."""


class JobAborted(JobStopped):
    """A person asked the job to stop."""


class LockLost(JobStopped):
    """The job's lock, or its run itself, was taken from it: somebody else may hold the lock by now."""


class TimeLimitExceeded(JobStopped):
    """The job ran longer than its soft time limit."""


class JobError(Exception):
    """Base of what can be wrong with a request to the platform."""


class JobArgumentError(JobError, ValueError):
    """The arguments do not fit the job's function, or cannot be stored."""


class JobNotFound(JobError, LookupError):
    def __init__(self, job_id: int) -> None:
        super().__init__(f"No job with id {job_id} found")
        self.job_id = job_id


class JobNotAbortable(JobError):
    def __init__(self, job_id: int, status: str) -> None:
        super().__init__(f"Job id {job_id} is in state {status}, must be SCHEDULED or RUNNING to abort")
        self.job_id = job_id
        self.status = status


class ResultNotStorable(JobError, TypeError):
    """The body returned what JSON cannot hold."""


class BodyExited(JobError):
    """The body raised what would end the worker process (SystemExit, KeyboardInterrupt, MemoryError)."""
