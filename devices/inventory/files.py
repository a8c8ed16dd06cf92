"""Nornir's SimpleInventory: hosts, groups and defaults in three files of YAML.

Read here and not by Nornir's plugin, because that fails on a wrong type without saying where it is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nornir.core.inventory import Group, Groups, Hosts, Inventory, ParentGroups

from devices.inventory import shape
from devices.inventory.errors import InventoryError
from devices.yaml_files import Unreadable, named, read

PLUGIN: Final = "SimpleInventory"
FILES: Final = {"host_file": "hosts.yaml", "group_file": "groups.yaml", "defaults_file": "defaults.yaml"}


def load(options: Mapping[str, Any]) -> Inventory:
    """The inventory of these files. Only the hosts' file must exist.

    Raises:
        InventoryError: names the file, and the host or group.
    """
    _check_options(options)
    encoding = options.get("encoding", "utf-8")
    host_file, group_file, defaults_file = (Path(options[name]).expanduser() for name in FILES)
    defaults = shape.defaults_of(_read(defaults_file, encoding), where=str(defaults_file))
    groups, hosts = Groups(), Hosts()
    above: list[tuple[Group, list[str]]] = []
    for name, raw in _entries(_read(group_file, encoding), group_file, "group"):
        group, names = shape.group_of(name, raw, defaults, where=str(group_file))
        groups[name] = group
        above.append((group, names))
    for group, names in above:
        group.groups = _parents(names, groups, group_file, of=f"{group_file}: group {named(group.name)}")
    for name, raw in _entries(_read(host_file, encoding, required=True), host_file, "host"):
        host, names = shape.host_of(name, raw, defaults, where=str(host_file))
        host.groups = _parents(names, groups, group_file, of=f"{host_file}: host {named(name)}")
        hosts[name] = host
    inventory = Inventory(hosts=hosts, groups=groups, defaults=defaults)
    try:
        shape.check_groups(inventory)
    except InventoryError as exc:
        raise InventoryError(f"{group_file}: {exc}") from exc
    return inventory


def _check_options(options: Mapping[str, Any]) -> None:
    known = (*FILES, "encoding")
    for name, value in options.items():
        if name not in known:
            raise InventoryError(f"inventory.options: {named(name)} must be one of {', '.join(known)}")
        if not isinstance(value, str):
            raise InventoryError(f"inventory.options: {name} must be text")


def _read(file: Path, encoding: str, *, required: bool = False) -> Any:
    try:
        return read(file, encoding=encoding)
    except FileNotFoundError as exc:
        if not required:
            return None
        raise InventoryError(f"{file} can't be read: {exc.strerror}") from exc
    except Unreadable as exc:
        raise InventoryError(str(exc)) from exc


def _entries(content: Any, file: Path, kind: str) -> list[tuple[str, Any]]:
    if content is None:
        return []
    if not isinstance(content, dict):
        raise InventoryError(f"{file} must be a mapping of {kind} names to their {kind}s")
    shape.check_names(content, f"{file}: {kind}")
    return list(content.items())


def _parents(names: list[str], groups: Groups, file: Path, *, of: str) -> ParentGroups:
    for name in names:
        if name not in groups:
            raise InventoryError(f"{of}: groups must be groups of {file}, and {named(name)} is not one")
    return ParentGroups(groups[name] for name in names)
