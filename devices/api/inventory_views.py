"""What front ends read from the inventory: its devices, groups, and what was synchronised. Nothing changes it here."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from nornir.core.inventory import Host, Inventory
from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.columns import Column, YesNo
from cnaasjobs.api.envelope import success
from cnaasjobs.api.errors import NotFound, Unavailable
from cnaasjobs.api.filters import quoted
from cnaasjobs.api.views import ApiViewSet
from devices import inventory
from devices.api import described
from devices.api.listing import AnyCase, Number, PagesOfSequence, asked_order, filtered, ordered, split_by
from devices.models import DeviceState
from devices.selection import Selector, device_type
from devices.sync.now import synchronized

MANAGED: Final = "MANAGED"  # everything in the inventory is
CAUSE: Final = "sync_devices"
_COSTLY: Final = "synchronized"  # expensive to know: its configuration must be rendered


def read_inventory() -> Inventory:
    try:
        return inventory.nornir().inventory
    except inventory.InventoryError as exc:
        raise Unavailable(str(exc)) from exc


class _Reads(ApiViewSet):
    permissions_required: ClassVar[Mapping[str, str | None]] = {"GET": "jobs.view_job"}


class Devices(_Reads):
    """``GET /devices`` and ``GET /device/<hostname>``."""

    described = described.DEVICES
    collection = "devices"
    pagination_class = PagesOfSequence
    columns: ClassVar[Mapping[str, Column]] = {
        "id": Number(),
        "hostname": AnyCase(),
        "device_type": AnyCase(),
        "platform": AnyCase(),
        # Other systems know more states, here there is only this one: a client that asks for another gets nothing.
        "state": AnyCase(),
        _COSTLY: YesNo(),
    }

    def list(self, request: Request) -> Response:
        found = read_inventory()
        cheap, costly = split_by(self, request, _COSTLY)
        order = asked_order(request, self)
        rows = filtered(map(_row, found.hosts.values()), cheap, self)
        if costly or (order and order[0] == _COSTLY):
            rows = filtered(_with_sync(rows, found), costly, self)
        if order:
            rows = ordered(rows, order[0], descending=order[1])
        page = self.paginate_queryset(rows)
        return self.get_paginated_response({"devices": _with_sync(page or [], found)})

    def retrieve(self, request: Request, hostname: str) -> Response:
        found = read_inventory()
        host = found.hosts.get(hostname)
        if host is None:
            raise NotFound(f"No device {quoted(hostname)} found in the inventory")
        return success({"devices": _with_sync([_row(host)], found)})


def number_of(hostname: str) -> int:
    """A meaningless number that stays the same as long as the name does: front ends tell rows apart by it.

    JavaScript's numbers hold 53 bits of it exactly, so it has 48.
    """
    return int.from_bytes(blake2b(hostname.encode(), digest_size=6).digest())


def _row(host: Host) -> dict[str, Any]:
    return {
        "id": number_of(host.name),
        "hostname": host.name,
        "device_type": device_type(host),
        "platform": host.platform,
        "state": MANAGED,
    }


def _with_sync(rows: Any, found: Inventory) -> list[dict[str, Any]]:
    missing = [found.hosts[row["hostname"]] for row in rows if _COSTLY not in row]
    known = synchronized(missing, found) if missing else {}
    return [row if _COSTLY in row else {**row, _COSTLY: known[row["hostname"]]} for row in rows]


class Groups(_Reads):
    """``GET /groups`` and ``GET /groups/<group>``: each group's hosts, those of groups below it too."""

    described = described.GROUPS

    def list(self, request: Request) -> Response:
        found = read_inventory()
        members: dict[str, list[str]] = {name: [] for name in found.groups}
        for host in found.hosts.values():
            for group in dict.fromkeys(group.name for group in host.extended_groups()):
                members.setdefault(group, []).append(host.name)
        return success({"groups": members})

    def retrieve(self, request: Request, group: str) -> Response:
        found = read_inventory()
        if group not in found.groups:
            raise NotFound(f"No group {quoted(group)} found in the inventory")
        return success({"groups": {group: [host.name for host in Selector(group=group).hosts(found)]}})


class ManagementDomains(_Reads):
    """``GET /mgmtdomains``: Nornir's inventory has none."""

    described = described.MANAGEMENT_DOMAINS

    def list(self, request: Request) -> Response:
        return success({"mgmtdomains": []})


class SyncHistory(_Reads):
    """``GET /device_synchistory``: the last live syncs that changed each device."""

    described = described.SYNC_HISTORY

    def list(self, request: Request) -> Response:
        rows = self._rows(request).exclude(changes="[]")
        return success({"hostnames": {host: list(map(_event, json.loads(changes))) for host, changes in rows}})

    def _rows(self, request: Request) -> QuerySet[DeviceState, tuple[str, str]]:
        hostname = request.query_params.get("hostname")
        states = DeviceState.objects.all()
        if hostname is not None:
            states = states.none() if "\x00" in hostname else states.filter(host=hostname)
        return states.order_by("host").values_list("host", "changes")


def _event(change: tuple[float, str | None]) -> dict[str, Any]:
    when, by = change
    return {"cause": CAUSE, "by": by, "timestamp": when}
