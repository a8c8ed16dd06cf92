"""Which devices a sync is for, as rights ask it. What is not there is a device too: one that is in nobody's scope."""

from typing import Any

import pytest

from devices.selected import devices_of
from devices.tasks import sync_devices
from jobs.rights.reach import Device
from jobs.rights.selected import DevicesUnknown
from tests.devices.lab import Lab

SW1 = Device("sw1", frozenset({"floor", "access"}), "ACCESS")


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.groups["floor"] = {"groups": ["access"]}
    lab.add("sw1", group="floor")


def of(**selected: Any) -> list[Device]:
    return devices_of(sync_devices.bound(selected))


@pytest.mark.parametrize(
    ("selected", "found"),
    [
        ({"all": True}, [SW1]),
        ({"group": "access"}, [SW1]),
        ({"device_type": "CORE"}, []),
        ({"hostnames": ["sw1", "gone"]}, [Device("gone"), SW1]),
        ({"hostnames": ["gone"], "plan": 41, "dry_run": False}, [Device("gone")]),
        ({"group": "gone"}, [Device("group gone")]),
        ({"device_type": "gone"}, [Device("gone devices")]),
    ],
)
def test_each_has_its_groups_and_its_type(selected: dict[str, Any], found: list[Device]) -> None:
    assert of(**selected) == found


def test_an_inventory_that_can_not_be_read_is_not_taken_for_an_empty_one(lab: Lab) -> None:
    (lab.directory / "hosts.yml").write_text("sw1: [")
    with pytest.raises(DevicesUnknown, match=r"hosts\.yml"):
        of(all=True)
