"""Which jobs can follow one that has ended. The app of its task knows, and registers its answer when Django is ready.

A task without one can only be run again with the same arguments.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from jobs.authors import refusing
from jobs.errors import JobError
from jobs.models import Job

T = TypeVar("T")


class CannotFollow(JobError):
    """This job cannot be followed by one of the kind that was asked for; the text says why."""


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    arguments: Mapping[str, Any]  # of the task
    words: str  # which devices it would be for
    devices: int


class FollowUps:
    """This base class knows none; subclasses do. They raise CannotFollow."""

    def may_apply(self, job: Job) -> bool:
        """Whether this was a dry run that a live one can follow, as far as its own row says."""
        return False

    def knows_failed(self) -> bool:
        """Whether a job of this task can be run again on the devices that it left undone."""
        return False

    def require_there(self, arguments: Mapping[str, Any]) -> None:
        """Make sure that whatever these arguments name exists: otherwise a job with them could only fail."""

    def on_the_failed(self, job: Job) -> FollowUp:
        raise CannotFollow(f"Job {job.pk} ({job.function_name}) can only be run again as a whole")

    def as_shown(self, job: Job) -> FollowUp:
        raise CannotFollow(f"Job {job.pk} ({job.function_name}) showed nothing that could be applied")


_KNOWS_NONE = FollowUps()
_known: dict[str, FollowUps] = {}


def register(task_name: str, known: FollowUps) -> None:
    _known[task_name] = known


def of(task_name: str) -> FollowUps:
    known = _known.get(task_name)
    return _KNOWS_NONE if known is None else _Careful(task_name, known)


def registered() -> list[str]:
    return [*_known]


class _Careful(FollowUps):
    """An app's own. Where its code fails, nothing can follow."""

    def __init__(self, task_name: str, known: FollowUps) -> None:
        self._what, self._known = f"the function registered for what follows {task_name}", known

    def may_apply(self, job: Job) -> bool:
        with suppress(CannotFollow):
            return self._asked(lambda: self._known.may_apply(job))
        return False

    def knows_failed(self) -> bool:
        with suppress(CannotFollow):
            return self._asked(lambda: self._known.knows_failed())
        return False

    def require_there(self, arguments: Mapping[str, Any]) -> None:
        self._asked(lambda: self._known.require_there(arguments))

    def on_the_failed(self, job: Job) -> FollowUp:
        return self._asked(lambda: self._known.on_the_failed(job))

    def as_shown(self, job: Job) -> FollowUp:
        return self._asked(lambda: self._known.as_shown(job))

    def _asked(self, ask: Callable[[], T]) -> T:
        with refusing(self._what, CannotFollow):
            return ask()
