"""Whether a user may do something to a job or start one: the one place that decides.

A user may do what their permissions name, within the scopes of the groups that grant them. Reading has no scope. A
permission that reaches everywhere costs no statement.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from django.contrib.auth.models import User

from jobs.errors import JobNotFound, NotAllowed, RightsWithdrawn
from jobs.models import Job
from jobs.rights import selected
from jobs.rights.reach import EVERYWHERE, outside, reach_of
from jobs.run import Run
from jobs.schedulable import Schedulable

ABORT: Final = "jobs.abort_job"
CLEAR: Final = "locks.clear_lock"
APPROVE: Final = "jobs.approve_job"

_SHOWN: Final = 3


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A job that exists, or one that somebody wants to start."""

    task_name: str
    function_name: str
    arguments: Mapping[str, Any]

    @classmethod
    def new(cls, task: Schedulable, kwargs: Mapping[str, Any]) -> Self:
        """Raises JobArgumentError."""
        arguments = task.bound(kwargs)
        return cls(task_name=task.name, function_name=task.function_name_of(arguments), arguments=arguments)

    @classmethod
    def of(cls, job: Job) -> Self:
        arguments = json.loads(job.start_arguments)
        return cls(task_name=job.task_name, function_name=job.function_name, arguments=arguments)


def refusal(user: Any, permission: str, subject: Subject) -> str | None:
    """Why the user may not, in words that name the permission; None if they may.

    Raises:
        DevicesUnknown: the user is limited to some devices, and the inventory can't be read.
    """
    missing = f"Missing permission {permission}"
    if not user.has_perm(permission):
        return missing
    reach = reach_of(user, permission)
    if reach is EVERYWHERE:
        return None
    limits = [limit for limit in reach if limit.has_function(subject.function_name)]
    if not limits:
        return f"{missing} for {subject.function_name}"
    if not all(limit.is_of_devices for limit in limits):
        return None
    devices = selected.devices_of(subject.task_name, subject.arguments)
    if devices is None:
        return f"{missing} for {subject.function_name}, which does not say what devices it is for"
    if names := outside(devices, limits):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"{missing} for {'device' if len(names) == 1 else 'devices'} {', '.join(names[:_SHOWN])}{more}"
    return None


def require_start(user: Any, task: Schedulable, kwargs: Mapping[str, Any]) -> None:
    """Make sure that the user may start a job of this task with these arguments.

    Raises:
        NotAllowed, DevicesUnknown, JobArgumentError.
    """
    if not _reaches_everywhere(user, task.permission):
        _require(user, task.permission, Subject.new(task, kwargs))


def require_for(user: Any, permission: str, job_id: int) -> None:
    """Make sure that the user may do this to a job.

    Raises:
        NotAllowed, DevicesUnknown, JobNotFound.
    """
    if _reaches_everywhere(user, permission):
        return
    job = Job.objects.only("task_name", "function_name", "start_arguments").filter(pk=job_id).first()
    if job is None:
        raise JobNotFound(job_id)
    _require(user, permission, Subject.of(job))


def require_still(run: Run, task: Schedulable) -> None:
    """Ask again when a job starts: its author may have lost the right meanwhile, or it may select more devices by now.

    A job that code started has no author.

    Raises:
        RightsWithdrawn, DevicesUnknown.
    """
    if run.author_id is None:
        return
    author = User.objects.filter(pk=run.author_id).first()
    if author is None:
        raise RightsWithdrawn(f"{run.scheduled_by} started it, and no longer exists")
    if not author.is_active:
        raise RightsWithdrawn(f"{author.get_username()} started it, and is no longer active")
    arguments = json.loads(run.start_arguments)
    subject = Subject(task_name=task.name, function_name=task.function_name_of(arguments), arguments=arguments)
    if why := refusal(author, task.permission, subject):
        raise RightsWithdrawn(f"{author.get_username()} started it, and may no longer do so: {why}")


def _reaches_everywhere(user: Any, permission: str) -> bool:
    return bool(user.has_perm(permission)) and reach_of(user, permission) is EVERYWHERE


def _require(user: Any, permission: str, subject: Subject) -> None:
    if why := refusal(user, permission, subject):
        raise NotAllowed(why)


def author_of(user: Any) -> int | None:
    """The id that a job keeps of the user who starts it. None for the shell and a development server's operator."""
    found: int | None = getattr(user, "pk", None)
    return found
