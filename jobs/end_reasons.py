"""Why a job did not finish: its ``exception``. Like ``jobs.states``, this module imports nothing of the project.

``exception.type`` is one of ``EndReason`` where the platform or a person ended the job, and otherwise the name of the
class that its body raised. The classes of ``jobs.errors`` that end a job carry the names below.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self


class EndReason(StrEnum):
    """The ends that are not an exception of the body. Their texts are stored and are part of the API."""

    JOB_ABORTED = "JobAborted"  # a person asked it to stop
    WORKER_LOST = "WorkerLost"  # its worker, or its process there, is gone
    WORKER_SHUTDOWN = "WorkerShutdown"  # its worker ended, and its time to finish was over
    TIME_LIMIT_EXCEEDED = "TimeLimitExceeded"  # soft or hard
    LOCK_LOST = "LockLost"  # its lock was cleared or taken over while it ran
    LOCK_WAIT_TIMEOUT = "LockWaitTimeout"  # it waited in line longer than allowed
    RESULT_NOT_STORABLE = "ResultNotStorable"  # its body returned what JSON cannot hold
    BODY_EXITED = "BodyExited"  # its body raised what would end the worker's process
    JOB_REJECTED = "JobRejected"  # a second person did not approve it
    APPROVAL_EXPIRED = "ApprovalExpired"  # nobody approved it in time
    RIGHTS_WITHDRAWN = "RightsWithdrawn"  # the user who started it has lost the right to
    UNKNOWN_TASK = "UnknownTask"  # no worker knows its function (any more)

    @classmethod
    def of(cls, exception_type: str | None) -> Self | None:
        """The reason that a stored ``exception.type`` names; None for a body's own exception."""
        try:
            return cls(exception_type or "")
        except ValueError:
            return None

    @property
    def reruns(self) -> bool:
        """Whether a job that was declared ``rerun_if_lost`` starts again after it."""
        return self in _RERUNS

    @property
    def is_lost(self) -> bool:
        """Whether the platform ended the job: nobody asked for that, and nothing is wrong with its code."""
        return self in _LOST


_RERUNS = frozenset({EndReason.WORKER_LOST, EndReason.WORKER_SHUTDOWN})
_LOST = _RERUNS | {EndReason.LOCK_LOST, EndReason.LOCK_WAIT_TIMEOUT, EndReason.TIME_LIMIT_EXCEEDED}


_LONGEST: Final = 100_000  # characters of each text; whoever lists jobs gets all of them
_MOST_ARGS: Final = 100


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The end of a job that did not finish, as stored: ``{"message", "type", "args", "traceback"}``."""

    type: str  # an EndReason, or the name of the exception's class
    message: str
    args: tuple[str, ...] = ()
    traceback: str = ""

    @classmethod
    def of(cls, exc: BaseException, traceback: str = "") -> Self:
        """Describe an exception. Its text may be anything, and ``str`` of it may fail."""
        try:
            message = str(exc)
            args = tuple(str(arg) for arg in exc.args)
        except Exception as broken:  # noqa: BLE001 - the author's __str__ can raise anything; the job must end all the same
            message, args = f"{type(exc).__name__} that cannot be shown ({type(broken).__name__})", ()
        return cls(type=type(exc).__name__[:64], message=message or type(exc).__name__, args=args, traceback=traceback)

    @classmethod
    def parsed(cls, text: str) -> Self:
        """The failure that ``as_json`` wrote."""
        fields = json.loads(text)
        return cls(
            type=fields["type"], message=fields["message"], args=tuple(fields["args"]), traceback=fields["traceback"]
        )

    def masked(self, mask: Callable[[str], str]) -> Self:
        """The same without secrets, and cut: an exception's text may contain anything that the code was given, such as
        all that a device has said.
        """
        return replace(
            self,
            message=_cut(mask(self.message)),
            args=tuple(_cut(mask(arg)) for arg in self.args[:_MOST_ARGS]),
            traceback=_cut(mask(self.traceback)),
        )

    def as_json(self) -> str:
        """The JSON text of the API; ``args`` is never empty and begins with the reason in words."""
        args = [*self.args] if self.args and self.args[0] else [self.message, *self.args[1:]]
        fields = {"message": self.message, "type": self.type, "args": args, "traceback": self.traceback}
        text = json.dumps(fields, ensure_ascii=False)
        # A lone surrogate has no UTF-8, and PostgreSQL stores no NUL: show them escaped rather than lose the failure.
        return text.encode("utf-8", "backslashreplace").decode().replace("\\u0000", "\\ufffd")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… and {len(text) - _LONGEST} more characters"
