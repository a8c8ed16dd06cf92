"""A connection to a device for jobs that are no sync."""

import pytest
from napalm.base.exceptions import ConnectionException

from devices.connected import connected
from devices.lab.driver import LabDriver
from devices.selection import SelectionError
from tests.devices.lab import Lab


def test_it_is_open_inside_and_closed_afterwards_whatever_happens(lab: Lab) -> None:
    lab.add("sw1")
    lab.set_running("sw1", "hostname sw1\n")
    with connected("sw1") as device:
        assert device.get_config()["running"] == "hostname sw1\n"
        assert device.is_alive()["is_alive"]
    assert not device.is_alive()["is_alive"]
    with pytest.raises(RuntimeError, match="no"), connected("sw1") as device:
        raise RuntimeError("no")
    assert not device.is_alive()["is_alive"]


def test_what_can_not_be_opened_is_closed_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(LabDriver, "close", lambda self: closed.append(self.hostname))
    lab.add("sw1", fail="open")
    with pytest.raises(ConnectionException), connected("sw1"):
        pass
    assert closed == ["sw1"]


def test_a_device_that_the_inventory_does_not_have_is_named(lab: Lab) -> None:
    lab.add("sw1")
    with pytest.raises(SelectionError, match="No device with hostname sw2 found"), connected("sw2"):
        pass
