"""The lab of the pictures: sixteen devices in two buildings, whose next change, faults and speed can be set."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

from tests.services.processes import ROOT

LAB: Final = ROOT / "devices" / "lab"
UNREACHABLE: Final = "eosaccess7"
SLOW_SECONDS: Final = 90.0  # longer than all pictures take


class Inventory:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.config, self.templates = directory / "config.yml", directory / "templates"
        shutil.copytree(LAB / "templates", self.templates)
        shutil.copy(LAB / "config.yml", self.config)
        shutil.copy(LAB / "defaults.yml", directory)
        self.write()

    def write(self, *, guests: bool = False, unreachable: bool = False, slow: tuple[str, ...] = ()) -> None:
        """``guests``: the access switches get another VLAN."""
        vlans = [{"id": 100, "name": "users"}, {"id": 200, "name": "phones" if guests else "voice"}]
        if guests:
            vlans.append({"id": 310, "name": "guests"})
        groups = {
            "access": {"data": {"device_type": "ACCESS", "vlans": vlans}},
            "dist": {"data": {"device_type": "DIST", "asn": 65100}},
            "core": {"data": {"device_type": "CORE", "asn": 65000}},
        }
        hosts = {
            **{f"eosaccess{n}": _host("access", f"10.0.2.{n}") for n in range(1, 11)},
            **{f"eosdist{n}": _host("dist", f"10.0.1.{n}", to="core1", link=n) for n in range(1, 5)},
            **{f"core{n}": _host("core", f"10.0.0.{n}", to="eosdist1", link=n) for n in range(1, 3)},
        }
        options: dict[str, dict[str, Any]] = {name: {"delay_seconds": SLOW_SECONDS} for name in slow}
        if unreachable:
            options[UNREACHABLE] = {"fail": "open"}
        for name, extras in options.items():
            hosts[name]["connection_options"] = {"napalm": {"extras": {"optional_args": extras}}}
        for file, content in (("groups.yml", groups), ("hosts.yml", hosts)):
            (self._directory / file).write_text(json.dumps(content, indent=1))  # JSON is YAML


def _host(group: str, address: str, *, to: str | None = None, link: int = 0) -> dict[str, Any]:
    data: dict[str, Any] = {"management_ip": address}
    if to:
        neighbour = f"10.1.{link}.0"
        data["uplinks"] = [
            {"interface": "Ethernet1", "address": f"10.1.{link}.1/31", "neighbor": neighbour, "asn": 65000, "to": to}
        ]
    return {"groups": [group], "data": data}
