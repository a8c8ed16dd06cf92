"""Which devices a sync is for: by name, device type, group, or all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nornir.core.inventory import Host, Inventory

DEVICE_TYPES = ("ACCESS", "DIST", "CORE")
_SHOWN = 5  # names in one message
_LONGEST = 255  # characters that a device's name can have


class SelectionError(ValueError):
    """No such device, type or group, or not exactly one way of selecting."""


@dataclass(frozen=True, kw_only=True)
class Selector:
    """Exactly one of the first four is set. With ``hostnames``, ``words`` may say why these names were chosen, and
    ``plan`` names the dry run whose changes, and no others, may be made.
    """

    hostnames: tuple[str, ...] | None = None
    device_type: str | None = None
    group: str | None = None
    all: bool = False
    words: str = ""
    plan: int | None = None

    def __post_init__(self) -> None:
        if sum([self.hostnames is not None, self.device_type is not None, self.group is not None, self.all]) != 1:
            raise SelectionError("Exactly one of hostnames, device_type, group or all must be given")
        if self.plan is not None and self.hostnames is None:
            raise SelectionError("A plan needs the hostnames of its devices")

    def __str__(self) -> str:
        if self.hostnames is not None:
            return self.words or few(self.hostnames)
        if self.device_type is not None:
            return f"{self.device_type.lower()} devices"
        return f"group {self.group}" if self.group is not None else "all devices"

    def arguments(self) -> dict[str, Any]:
        """The job's arguments for this selection. The job selects the devices again when it starts."""
        if self.hostnames is not None:
            names = {"hostnames": list(self.hostnames)}
            return names if self.plan is None else {**names, "plan": self.plan}
        if self.device_type is not None:
            return {"device_type": self.device_type.upper()}
        return {"group": self.group} if self.group is not None else {"all": True}

    def hosts(self, inventory: Inventory) -> list[Host]:
        """The selected devices, in the inventory's order.

        Raises:
            SelectionError: the inventory has no such device or group, or there is no such type.
        """
        hosts = inventory.hosts
        if self.hostnames is not None:
            if unknown := [name for name in self.hostnames if name not in hosts]:
                raise SelectionError(f"No device with hostname {few(unknown)} found in the inventory")
            names = set(self.hostnames)
            return [host for name, host in hosts.items() if name in names]
        if self.device_type is not None:
            wanted = self.device_type.upper()
            if wanted not in DEVICE_TYPES:
                raise SelectionError(
                    f"Unknown device type {few([self.device_type])}, must be one of {', '.join(DEVICE_TYPES)}"
                )
            return [host for host in hosts.values() if device_type(host) == wanted]
        if self.group is not None:
            if self.group not in inventory.groups:
                raise SelectionError(f"No group {few([self.group])} found in the inventory")
            return [host for host in hosts.values() if host.has_parent_group(self.group)]
        return list(hosts.values())


def few(names: Sequence[str]) -> str:
    """Names for a message, which has no room for thousands of them, or for a text much longer than a name."""
    shown = ", ".join(map(_shown, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _shown(name: str) -> str:
    """In quotation marks if its beginning and end could not be seen otherwise."""
    if len(name) > _LONGEST:
        name = f"{name[:100]}…"
    return name if name and name == name.strip() else repr(name)


def device_type(host: Host) -> str:
    """``device_type`` of the host's merged data, in capitals; empty if it has none."""
    try:
        return str(host["device_type"]).upper()
    except KeyError:
        return ""
