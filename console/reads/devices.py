"""Devices as the inventory has them, with what is known about each: the last result, the last commit, whether it runs
what it should, and its jobs.

Without the devices app there is no inventory: then a device is a name in the rows of jobs.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.db.models import QuerySet

from jobs.dispatch import line
from jobs.models import Job, JobDevice
from jobs.search.qualifiers import names_in
from jobs.search.results import newest_done
from jobs.states import JobDeviceState, Status

if TYPE_CHECKING:
    from nornir.core.inventory import Host, Inventory

PAGE: Final = 50
HISTORY: Final = 50
LOOKED_THROUGH: Final = 200  # jobs in one line
OUTSIDE: Final = "changed outside since the last commit"  # as a sync words it


@dataclass(frozen=True, kw_only=True)
class Known:
    """What was last committed to a device, and whether that still holds."""

    committed_at: datetime | None
    job_id: int | None
    uncertain_job_id: int | None
    changes: list[tuple[datetime, str | None]]  # of the last live syncs that changed it, the newest first


@dataclass(frozen=True, kw_only=True)
class Device:
    name: str
    device_type: str
    platform: str
    address: str
    groups: list[str]
    in_inventory: bool
    in_sync: bool
    known: Known | None
    last: JobDevice | None  # the newest that is done, with its job

    @property
    def drift(self) -> tuple[str, str]:
        """Whether the device runs what it should, as far as is known without asking it: a look, and words."""
        if self.last is not None and self.last.failed and OUTSIDE in (self.last.reason or ""):
            return "exception", "changed outside"
        if self.known is None:
            return "scheduled", "never committed"
        if self.known.uncertain_job_id is not None:
            return "lost", f"uncertain since job {self.known.uncertain_job_id}"
        if not self.in_inventory:
            return "scheduled", "not in the inventory"
        return ("finished", "in sync") if self.in_sync else ("scheduled", "a sync would change it")


@dataclass(frozen=True, kw_only=True)
class Page:
    devices: list[Device]
    count: int  # that the search finds
    missing: list[str]  # what a list of names names, and no device is called
    total: int
    number: int
    pages: int


class InventoryAway(Exception):
    """The inventory cannot be read; the text says why."""


def page_of(search: str, number: int) -> Page:
    """One page of the devices whose name, type, platform or group contains the text, or which it lists by their names.

    Raises:
        InventoryAway
    """
    inventory = _inventory()
    hosts = list(inventory.hosts.values()) if inventory else []
    matching, missing = _found(hosts, search)
    found = sorted(matching, key=lambda host: str(host.name))
    pages = max(1, -(-len(found) // PAGE))
    number = min(max(1, number), pages)
    some = found[(number - 1) * PAGE : number * PAGE]
    return Page(
        devices=_devices(some, inventory),
        count=len(found),
        missing=missing,
        total=len(hosts),
        number=number,
        pages=pages,
    )


def device(name: str) -> Device | None:
    """None if neither the inventory nor any job knows it.

    Raises:
        InventoryAway
    """
    inventory = _inventory()
    host = inventory.hosts.get(name) if inventory else None
    if host is not None:
        return _devices([host], inventory)[0]
    return device_without_inventory(name)


def device_without_inventory(name: str) -> Device | None:
    """What jobs stored about the device."""
    known, last = _known([name]).get(name), _last([name]).get(name)
    if known is None and last is None and not JobDevice.objects.filter(host=name).exists():
        return None
    return _device(name, None, known, last, in_sync=False)


def history(name: str, before: int | None = None) -> list[JobDevice]:
    """How the device fared in its jobs, newest first; one more than HISTORY if there are more."""
    rows = _with_jobs(JobDevice.objects.filter(host=name).order_by("-job_id"))
    return list((rows if before is None else rows.filter(job_id__lt=before))[: HISTORY + 1])


def waiting_for(name: str) -> list[Job]:
    """Jobs in line for a lock that will go through this device, by their arguments; the next one first.

    Raises:
        InventoryAway
    """
    inventory = _inventory()
    host = inventory.hosts.get(name) if inventory else None
    found: list[Job] = []
    for lock in line.names():
        in_line = line.of(lock).defer("finished_devices")[:LOOKED_THROUGH]
        found += [job for job in in_line if _is_for(json.loads(job.start_arguments), name, host)]
    return found


def running_on(name: str) -> list[JobDevice]:
    """The device's rows in running jobs: it is being worked on, or waits there."""
    return list(_newest(name).filter(job__status=Status.RUNNING.value).exclude(state=JobDeviceState.DONE.value))


def _is_for(arguments: Mapping[str, Any], name: str, host: "Host | None") -> bool:
    names = arguments.get("hostnames")
    if isinstance(names, list):
        return name in names
    if host is None:
        return False
    if arguments.get("all") is True:
        return True
    group, device_type = arguments.get("group"), arguments.get("device_type")
    return (isinstance(group, str) and host.has_parent_group(group)) or (
        isinstance(device_type, str) and device_type.upper() == _type_of(host)
    )


def _inventory() -> "Inventory | None":
    if not apps.is_installed("devices"):
        return None
    from devices import inventory

    try:
        return inventory.nornir().inventory
    except inventory.InventoryError as exc:
        raise InventoryAway(str(exc)) from exc


def _found(hosts: "Sequence[Host]", search: str) -> "tuple[list[Host], list[str]]":
    found = [host for host in hosts if _matches(host, search.lower())]
    names = {name.lower(): name for name in names_in(search)}
    if found or len(names) < 2:
        return found, []
    found = [host for host in hosts if host.name.lower() in names]
    for host in found:
        names.pop(host.name.lower(), None)
    return found, list(names.values())


def _matches(host: "Host", search: str) -> bool:
    if not search:
        return True
    texts = (host.name, _type_of(host), host.platform or "", *(group.name for group in host.extended_groups()))
    return any(search in text.lower() for text in texts)


def _devices(hosts: "Sequence[Host]", inventory: "Inventory | None") -> list[Device]:
    if not hosts or inventory is None:
        return []
    from devices.sync.now import synchronized

    names = [host.name for host in hosts]
    known, last, in_sync = _known(names), _last(names), synchronized(hosts, inventory)
    return [
        _device(name, host, known.get(name), last.get(name), in_sync=in_sync[name])
        for name, host in zip(names, hosts, strict=True)
    ]


def _device(name: str, host: "Host | None", known: Known | None, last: JobDevice | None, *, in_sync: bool) -> Device:
    return Device(
        name=name,
        device_type=_type_of(host) if host else "",
        platform=(host.platform or "") if host else "",
        address=(host.hostname or "") if host else "",
        groups=[group.name for group in host.extended_groups()] if host else [],
        in_inventory=host is not None,
        in_sync=in_sync,
        known=known,
        last=last,
    )


def _last(names: Sequence[str]) -> dict[str, JobDevice]:
    """The newest row of each device that is done."""
    return {row.host: row for row in _with_jobs(newest_done(names))}


def _newest(name: str) -> QuerySet[JobDevice]:
    """Its newest rows with their jobs, to be filtered. Only HISTORY of them are read, however many there are."""
    newest = JobDevice.objects.filter(host=name).order_by("-job_id").values("pk")[:HISTORY]
    return _with_jobs(JobDevice.objects.filter(pk__in=newest).order_by("-job_id"))


def _with_jobs(rows: QuerySet[JobDevice]) -> QuerySet[JobDevice]:
    return rows.select_related("job").defer("report", "memo", "job__finished_devices", "job__start_arguments")


def _known(names: Sequence[str]) -> dict[str, Known]:
    if not apps.is_installed("devices"):
        return {}
    from devices.models import DeviceState as Committed

    return {
        row.host: Known(
            committed_at=row.committed_at,
            job_id=row.job_id,
            uncertain_job_id=row.uncertain_job_id,
            changes=[*_changes(row.changes)],
        )
        for row in Committed.objects.filter(host__in=names)
    }


def _changes(text: str) -> Iterator[tuple[datetime, str | None]]:
    for when, by in reversed(json.loads(text)):
        yield datetime.fromtimestamp(when, UTC), by


def _type_of(host: "Host | None") -> str:
    from devices.selection import device_type

    return device_type(host) if host is not None else ""
