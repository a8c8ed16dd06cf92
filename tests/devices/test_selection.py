"""Which devices a sync is for."""

import pytest

from devices import inventory
from devices.selection import SelectionError, Selector
from tests.devices.lab import Lab


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.groups["dist"] = {"data": {"device_type": "DIST"}}
    lab.groups["campus"] = {}
    lab.groups["building"] = {"groups": ["campus"]}
    lab.add("sw1", "sw2")
    lab.add("d1", group="dist")
    lab.hosts["plain"] = {"groups": ["building"]}
    lab.hosts["own"] = {"groups": ["dist"], "data": {"device_type": "access"}}
    lab.write()


def chosen(**selector: object) -> list[str]:
    return [host.name for host in Selector(**selector).hosts(inventory.nornir().inventory)]  # type: ignore[arg-type]


def test_by_name_in_the_inventorys_order() -> None:
    assert chosen(hostnames=("d1", "sw1")) == ["sw1", "d1"]


@pytest.mark.parametrize("written", ["ACCESS", "access", "Access"])
def test_by_type_in_any_case_a_hosts_own_before_its_groups(written: str) -> None:
    assert chosen(device_type=written) == ["sw1", "sw2", "own"]


def test_a_type_without_devices_selects_none() -> None:
    assert chosen(device_type="core") == []


def test_by_group_its_groups_members_included() -> None:
    assert chosen(group="campus") == ["plain"]
    assert chosen(group="dist") == ["d1", "own"]


def test_all_selects_every_device() -> None:
    assert chosen(all=True) == ["sw1", "sw2", "d1", "plain", "own"]


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ({"hostnames": ("sw1", "nosuch")}, "No device with hostname nosuch found"),
        ({"hostnames": ("sw1", *"abcde")}, "No device with hostname a, b, c, d, e found"),
        ({"hostnames": (*"abcdefg", "sw1")}, "No device with hostname a, b, c, d, e and 2 more found"),
        ({"hostnames": ("x" * 255,)}, f"No device with hostname {'x' * 255} found"),
        ({"device_type": "router"}, "Unknown device type router, must be one of ACCESS, DIST, CORE"),
        ({"device_type": ""}, "Unknown device type '', must"),
        ({"group": "nosuch"}, "No group nosuch found"),
        ({"group": ""}, "No group '' found"),
        ({"group": "dist "}, "No group 'dist ' found"),
        ({"hostnames": ("sw1", "x" * 50_000)}, f"No device with hostname {'x' * 100}… found"),
        ({}, "Exactly one"),
        ({"all": True, "group": "dist"}, "Exactly one"),
    ],
)
def test_a_selector_that_nobody_knows_is_named(selector: dict[str, object], said: str) -> None:
    with pytest.raises(SelectionError, match=said):
        chosen(**selector)
