"""Which devices a job is for, by its arguments: each app registers a function for its own tasks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.authors import refusing
from jobs.errors import JobError
from jobs.rights.reach import Device

Selects = Callable[[Mapping[str, Any]], Sequence[Device]]
_selects: dict[str, Selects] = {}


class DevicesUnknown(JobError):
    """Which devices it is for can't be found out now; the text says why."""


def register(task_name: str, selects: Selects) -> None:
    """``selects`` returns the devices that a job of this task is for, given its arguments and the present inventory.

    It includes names that the inventory does not have, and raises DevicesUnknown if it can't say.
    """
    _selects[task_name] = selects


def devices_of(task_name: str, arguments: Mapping[str, Any]) -> Sequence[Device] | None:
    """The devices; None if no app has registered an answer for this task. Raises DevicesUnknown."""
    selects = _selects.get(task_name)
    if selects is None:
        return None
    with refusing(f"the function registered for the devices of {task_name}", DevicesUnknown):
        return selects(arguments)


def registered() -> list[str]:
    return [*_selects]
