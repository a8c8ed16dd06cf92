"""Which devices a sync is for, as ``jobs.rights`` asks it: with the groups and types that a scope may name."""

from collections.abc import Mapping
from typing import Any

from nornir.core.inventory import Host

from devices import inventory
from devices.selection import SelectionError, Selector, device_type
from devices.tasks import selector_of
from jobs.rights.reach import Device
from jobs.rights.selected import DevicesUnknown


def devices_of(arguments: Mapping[str, Any]) -> list[Device]:
    """Raises DevicesUnknown."""
    try:
        known = inventory.nornir().inventory
    except inventory.InventoryError as exc:
        raise DevicesUnknown(str(exc)) from exc
    selector = selector_of(arguments)
    gone = [Device(name) for name in selector.hostnames or () if name not in known.hosts]
    try:
        return [*gone, *map(_device, _without(gone, selector).hosts(known))]
    except SelectionError:
        return [Device(str(selector))]  # a group or type that does not exist is in nobody's scope


def _without(gone: list[Device], selector: Selector) -> Selector:
    names = {device.name for device in gone}
    if selector.hostnames is None or not names:
        return selector
    return Selector(hostnames=tuple(name for name in selector.hostnames if name not in names))


def _device(host: Host) -> Device:
    groups = frozenset(group.name for group in host.extended_groups())
    return Device(host.name, groups, device_type(host))
