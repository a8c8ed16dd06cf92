"""How far a user's permission reaches: everywhere, or as far as the scopes of the groups that grant it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from cnaasjobs.api.permissions import granted_of, is_limited
from jobs.models import GroupScope

DRY_RUN: Final = " (dry_run)"


class Device(NamedTuple):
    """What a scope looks at in a device."""

    name: str
    groups: frozenset[str] = frozenset()  # of the inventory, with the groups that these are in
    type: str = ""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The scope of one group. A scope that names nothing allows nothing."""

    device_groups: frozenset[str]
    device_types: frozenset[str]
    functions: frozenset[str]

    @classmethod
    def of(cls, scope: GroupScope) -> Self:
        return cls(
            device_groups=names_in(scope.device_groups),
            device_types=frozenset(name.upper() for name in names_in(scope.device_types)),
            functions=names_in(scope.functions),
        )

    @property
    def is_of_devices(self) -> bool:
        """Whether it limits the devices; otherwise any device is allowed."""
        return bool(self.device_groups or self.device_types) or not self.functions

    def has_function(self, name: str) -> bool:
        return not self.functions or name in self.functions or name.removesuffix(DRY_RUN) in self.functions

    def has_device(self, device: Device) -> bool:
        if not self.is_of_devices:
            return True
        return not self.device_groups.isdisjoint(device.groups) or device.type in self.device_types

    def covers(self, other: "Limit") -> bool:
        """Whether all that ``other`` allows is allowed here, as far as the names tell."""
        functions = not self.functions or (bool(other.functions) and all(map(self.has_function, other.functions)))
        devices = not self.is_of_devices or (
            other.is_of_devices
            and other.device_groups <= self.device_groups
            and other.device_types <= self.device_types
        )
        return functions and devices


Reach = tuple[Limit, ...] | None  # None: everywhere
EVERYWHERE: Final = None


def names_in(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(str.strip, text.splitlines())))


def reach_of(user: Any, permission: str) -> Reach:
    """How far a permission reaches that the user has. It costs no statement if their groups have no scope."""
    return limits_of(user.pk, permission, granted_of(user).groups) if is_limited(user, permission) else EVERYWHERE


def limits_of(user_id: int, permission: str, groups: Collection[int] | None = None) -> tuple[Limit, ...]:
    """The scopes of those groups of the user that grant the permission.

    Args:
        groups: the user's groups, if a JWT says which; otherwise the database does.
    """
    app, codename = permission.split(".")
    scopes = GroupScope.objects.filter(
        group__permissions__content_type__app_label=app, group__permissions__codename=codename
    )
    mine = scopes.filter(group__user=user_id) if groups is None else scopes.filter(group__in=groups)
    return tuple(map(Limit.of, mine))


def covers(one: Reach, other: Reach) -> bool:
    """Whether ``one`` reaches as far as ``other``."""
    if one is EVERYWHERE:
        return True
    return other is not EVERYWHERE and all(any(mine.covers(theirs) for mine in one) for theirs in other)


def outside(devices: Iterable[Device], limits: Collection[Limit]) -> list[str]:
    """The names of the devices that none of the limits has."""
    return [device.name for device in devices if not any(limit.has_device(device) for limit in limits)]
