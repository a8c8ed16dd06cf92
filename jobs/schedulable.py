"""What dispatch must know to schedule a job: its task, and the options that may be given beside its arguments."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, TypedDict

HIGHEST_PRIORITY: Final = 9  # it goes first; 0 is the lowest, and the default


def checked_priority(priority: int) -> int:
    """Raises ValueError for what no broker could order by."""
    if not 0 <= priority <= HIGHEST_PRIORITY:
        raise ValueError(f"priority {priority} must be from 0 to {HIGHEST_PRIORITY}")
    return priority


class ScheduleOptions(TypedDict, total=False):
    """What ``schedule``, ``schedule_many`` and ``NextJob`` take by name; what is left out counts as None."""

    at: datetime | None  # when it is due: aware, or naive UTC; None and times in the past mean now
    scheduled_by: str | None
    comment: str | None
    ticket_ref: str | None
    author_id: int | None  # the user with whose rights it is started, which are asked again when it starts
    queue: str | None  # None: the task's own
    priority: int | None  # 0 to 9; None: the task's own


def known(options: ScheduleOptions) -> ScheduleOptions:
    """The options, checked: at run time Python accepts any name.

    Raises:
        TypeError: names those that do not exist.
    """
    if unknown := options.keys() - ScheduleOptions.__annotations__.keys():
        raise TypeError(f"a job has no option {', '.join(sorted(unknown))}")
    return options


class Ending(NamedTuple):
    """A job that schedules another as it ends."""

    job_id: int
    change_score: int | None


def checked_task(task: "Schedulable") -> "Schedulable":
    """Raises TypeError for what is no job, such as the name of one."""
    if not hasattr(task, "function_name_of"):
        raise TypeError(f"{task!r:.60} is not a job: give the function that @job decorates, imported from its module")
    return task


Approval = Callable[[Mapping[str, Any], Ending | None], str | None]  # why it needs one, in words; None: it does not


class Schedulable(Protocol):
    """What dispatch needs of a job's task; ``jobs.task.JobTask`` is one."""

    name: str
    lock: str | None
    job_queue: str | None
    job_priority: int
    permission: str
    approval: Approval | None
    rerun_if_lost: bool
    lock_wait: int | None

    def bound(self, kwargs: Mapping[str, Any]) -> dict[str, Any]: ...
    def function_name_of(self, kwargs: Mapping[str, Any]) -> str: ...
