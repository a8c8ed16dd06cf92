"""Which syncs can follow one that has ended: on the devices that it left undone, or live, as a dry run showed."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from nornir.core.inventory import Inventory

from devices import inventory
from devices.selection import SelectionError, Selector
from jobs.errors import JobArgumentError
from jobs.follow_ups import CannotFollow, FollowUp, FollowUps
from jobs.models import Job
from jobs.states import Status

_OPTIONS: Final = ("dry_run", "force", "resync", "confirm_mode")  # that are the earlier job's


class AfterSync(FollowUps):
    def may_apply(self, job: Job) -> bool:
        return job.status == Status.FINISHED and _arguments(job).get("dry_run") is True

    def knows_failed(self) -> bool:
        return True

    def require_there(self, arguments: Mapping[str, Any]) -> None:
        from devices import earlier
        from devices.tasks import selector_of, sync_devices

        with _refusing():
            selector = selector_of(sync_devices.bound(arguments))
            earlier.require_there(selector, inventory.nornir().inventory)

    def on_the_failed(self, job: Job) -> FollowUp:
        from devices import earlier  # it imports the task, which imports all of Celery

        return _follow_up(job, earlier.left_undone, _options(job))

    def as_shown(self, job: Job) -> FollowUp:
        from devices import earlier

        return _follow_up(job, earlier.planned, {**_options(job), "dry_run": False})


def _follow_up(job: Job, select: Callable[[int, Inventory], Selector], options: dict[str, Any]) -> FollowUp:
    with _refusing():
        known = inventory.nornir().inventory
        selector = select(job.pk, known)
        devices = len(selector.hosts(known))
    return FollowUp(arguments={**selector.arguments(), **options}, words=str(selector), devices=devices)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (JobArgumentError, SelectionError, inventory.InventoryError) as exc:
        raise CannotFollow(str(exc)) from exc


def _options(job: Job) -> dict[str, Any]:
    arguments = _arguments(job)
    return {name: arguments[name] for name in _OPTIONS if name in arguments}


def _arguments(job: Job) -> dict[str, Any]:
    arguments: dict[str, Any] = json.loads(job.start_arguments)
    return arguments
