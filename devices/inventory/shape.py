"""What hosts, groups and defaults must look like, whichever plugin they come from.

Nornir accepts anything, and a wrong type only shows later: in a web request, or in the middle of a job.
"""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Final, TypeVar

from nornir.core.inventory import ConnectionOptions, Defaults, Group, Host, Inventory
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from devices.inventory.errors import InventoryError
from devices.yaml_files import named

MAX_NAME: Final = 255  # characters: devices.models.DeviceState.host
_MAX_WAYS: Final = 500  # groups above a group, counted once for each path that leads there

_MUST_BE: Final = {
    "hostname": "must be text (quote it)",
    "platform": "must be text (quote it)",
    "username": "must be text",
    "password": "must be text",
    "port": "must be a number up to 65535",
    "groups": "must be a list of group names (quote those that are numbers)",
    "data": "must be a mapping of names to values",
    "connection_options": "must be a mapping of connections to their options",
    "extras": "must be a mapping of names to values",
}


def _credential(value: object) -> object:
    """Plugins other than ours for files may give a number; values from files are text already."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _digits(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdigit() else value


Credential = Annotated[str, BeforeValidator(_credential)]


class _Login(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    hostname: str | None = None
    port: Annotated[int, BeforeValidator(_digits), Field(ge=0, le=65535)] | None = None
    username: Credential | None = None
    password: Credential | None = None
    platform: str | None = None


class _Connection(_Login):
    extras: dict[str, Any] | None = None


class _Defaults(_Login):
    data: dict[Any, Any] | None = None  # keys that are not text can't be variables in a template, and do no harm
    connection_options: dict[str, _Connection | None] | None = None


class _Element(_Defaults):
    groups: list[str] | None = None


Model = TypeVar("Model", bound=_Defaults)


def defaults_of(raw: object, *, where: str) -> Defaults:
    """Nornir's defaults, from the content of a file."""
    return Defaults(**_arguments(_checked(_Defaults, raw, where)))


def host_of(name: str, raw: object, defaults: Defaults, *, where: str) -> tuple[Host, list[str]]:
    """A host without its groups, and the names of these."""
    found = _checked(_Element, raw, f"{where}: host {named(name)}")
    return Host(name=name, defaults=defaults, **_arguments(found)), found.groups or []


def group_of(name: str, raw: object, defaults: Defaults, *, where: str) -> tuple[Group, list[str]]:
    """A group without the groups above it, and the names of these."""
    found = _checked(_Element, raw, f"{where}: group {named(name)}")
    return Group(name=name, defaults=defaults, **_arguments(found)), found.groups or []


def check_names(names: Iterable[object], what: str) -> None:
    """YAML turns names that look like numbers into numbers, and not every text can be stored, or be part of a URL."""
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or "\x00" in name or not _has_utf8(name):
            raise InventoryError(f"{what} name {named(name)} must be text of 1 to {MAX_NAME} characters (quote it)")
        if fault := _fault_in_url(name):
            raise InventoryError(f"{what} name {named(name)} {fault}, because no URL could name it")


def _fault_in_url(name: str) -> str | None:
    """Browsers and proxies resolve such a path before we see it; the API cuts a slash off, and ``jobs`` is its own."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        return "must not have an empty part, . or .. between slashes"
    return "must not end in /jobs" if len(parts) > 1 and parts[-1] == "jobs" else None


def check(inventory: Inventory) -> None:
    """Check an inventory from any plugin, or changed by a transform function; ports and credentials are converted."""
    _correct(inventory.defaults, _checked(_Defaults, inventory.defaults.dict(), "the defaults"))
    for kind, elements in (("host", inventory.hosts), ("group", inventory.groups)):
        check_names(elements, kind)
        for name, element in elements.items():
            _correct(element, _checked(_Element, element.dict(), f"{kind} {named(name)}"))
    check_groups(inventory)


def check_groups(inventory: Inventory) -> None:
    """Raise InventoryError if a group is its own ancestor, or has too many ancestors.

    Nornir walks all of them whenever it reads a host.
    """
    above = {name: [parent.name for parent in group.groups] for name, group in inventory.groups.items()}
    ways: dict[str, int] = {}
    try:
        for name in TopologicalSorter(above).static_order():
            ways[name] = 1 + sum(ways[parent] for parent in above.get(name, ()))
            if ways[name] > _MAX_WAYS:
                raise InventoryError(f"group {named(name)} must not have more than {_MAX_WAYS} groups above it")
    except CycleError as exc:
        cycle = [named(name) for name in reversed(exc.args[1])]
        raise InventoryError(f"group {cycle[0]} must not be a group above itself ({' → '.join(cycle)})") from exc


def _checked(model: type[Model], raw: object, where: str) -> Model:
    try:
        return model.model_validate({} if raw is None else raw)
    except ValidationError as exc:
        place = exc.errors(include_url=False, include_input=False)[0]["loc"]
        raise InventoryError(f"{where}{_wrong(place)}") from exc


def _wrong(place: tuple[int | str, ...]) -> str:
    if not place:
        return " must be a mapping (platform, groups, data, …)"
    if place[0] != "connection_options" or len(place) == 1:
        return f": {place[0]} {_MUST_BE[str(place[0])]}"
    path = f"connection_options.{named(place[1])}"
    field = str(place[2]) if len(place) > 2 else ""
    return f": {path}.{field} {_MUST_BE[field]}" if field in _MUST_BE else f": {path} must be a mapping"


def _arguments(found: _Defaults) -> dict[str, Any]:
    """The checked values as arguments of Nornir's constructors."""
    options = found.connection_options or {}
    return {
        **{name: getattr(found, name) for name in _Login.model_fields},
        "data": found.data,
        "connection_options": {
            name: ConnectionOptions(**({} if connection is None else dict(connection)))
            for name, connection in options.items()
        },
    }


def _correct(element: Host | Defaults, found: _Defaults) -> None:
    for name in _Login.model_fields:
        setattr(element, name, getattr(found, name))
    for connection, options in element.connection_options.items():
        corrected = (found.connection_options or {}).get(connection)
        for name in _Login.model_fields:
            setattr(options, name, getattr(corrected, name))


def _has_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
