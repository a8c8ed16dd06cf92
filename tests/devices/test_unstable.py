"""Devices whose running configuration differs at each reading though nobody touched them."""

import re
from typing import Any

import pytest
from pytest_django import Settings

from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.sync.known import Fingerprint, Known, digest, essential, same
from devices.sync.one_device import UNRECOGNISABLE
from devices.tasks import sync_devices
from jobs.models import Job
from jobs.testing import perform_job
from tests.devices.lab import Lab, devices_of, note, reason

SALTED = "hostname sw1\n password ENC {}\nmotd hello\n"

database = pytest.mark.django_db(transaction=True)


def sync(**kwargs: Any) -> Job:
    return perform_job(sync_devices, **{"all": True, "dry_run": False, "confirm_mode": 0, **kwargs})


def shown_with(monkeypatch: pytest.MonkeyPatch, text: str) -> list[int]:
    """Each reading shows the device's file and this text, with a number that grows."""
    original = LabDriver.get_config
    readings: list[int] = []

    def get_config(self: LabDriver, *args: Any, **kwargs: Any) -> dict[str, str]:
        readings.append(len(readings) + 1)
        found = original(self, *args, **kwargs)
        return {**found, "running": found["running"] + text.format(number=readings[-1])}

    monkeypatch.setattr(LabDriver, "get_config", get_config)
    return readings


@database
@pytest.mark.parametrize(("text", "times"), [("", 1), ("set hostname sw1\n", 2)])
def test_what_is_shown_as_it_was_sent_needs_no_second_look(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, text: str, times: int
) -> None:
    readings = shown_with(monkeypatch, text)
    lab.add("sw1")
    sync()
    assert len(readings) == times
    assert DeviceState.objects.get().unstable_lines == ""
    assert DeviceState.objects.get().running_hash != ""
    sync(dry_run=True)
    assert len(readings) == times + 1

    def not_shown(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(LabDriver, "get_config", not_shown)  # no longer
    assert note(sync(dry_run=True), "sw1") is None


def test_what_differs_by_itself_is_left_out() -> None:
    kept = Fingerprint.of(SALTED.format("a1"), SALTED.format("b2"))
    assert kept.unstable == (1,)
    assert kept.recognises(SALTED.format("c3"))
    assert not kept.recognises(SALTED.format("c3").replace("hello", "goodbye"))
    assert not kept.recognises("snmp public\n" + SALTED.format("c3"))
    assert not kept.recognises("hostname sw1")
    assert kept.running_hash == digest("hostname sw1\n\nmotd hello\n")  # as those that are stored were made
    assert Fingerprint.of("a\nb", "a\nc").unstable == (1,)  # no more than half of them


def test_readings_that_are_alike_leave_out_nothing() -> None:
    kept = Fingerprint.of(SALTED.format("a1"), SALTED.format("a1"))
    assert kept.unstable == ()
    assert not Known(fingerprint=kept).differs(None)  # its driver no longer shows it
    assert not kept.recognises(SALTED.format("b2"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, None),
        ("a", None),
        (None, "a"),
        ("a\nb", "a\nb\nc"),
        ("one line", "another"),
        ("a\nb\nc", "a\nx\ny"),
        ("\n".join(f"a {n}" for n in range(9000)), "\n".join(f"{'ab'[n < 1001]} {n}" for n in range(9000))),
    ],
)
def test_what_differs_too_much_can_not_be_recognised(first: str | None, second: str | None) -> None:
    assert not Fingerprint.of(first, second)


def test_two_readings_are_compared_without_what_is_unstable() -> None:
    assert same(SALTED.format("a1"), SALTED.format("b2"), unstable=(1,))
    assert not same(SALTED.format("a1"), SALTED.format("b2"))


def test_lines_are_left_out_by_platform(settings: Settings) -> None:
    settings.CNAASJOBS_LINES_LEFT_OUT = {"ios": re.compile("^ntp clock-period ")}
    text = "hostname r1\nntp clock-period 36029056\nntp server 192.0.2.1"
    assert essential(text, "ios") == "hostname r1\nntp server 192.0.2.1"
    assert essential(text, "eos") == essential(text, None) == text


@database
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_a_device_that_shows_its_secrets_anew_each_time_is_not_changed_outside(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    shown_with(monkeypatch, "set password ENC {number}\nset key ENC {number}\n")
    lab.add("sw1")
    sync(confirm_mode=mode)
    assert DeviceState.objects.get().unstable_lines == "2,3"
    for kwargs in ({"dry_run": True}, {"force": True}, {"resync": True}):
        assert devices_of(sync(confirm_mode=mode, **kwargs))["sw1"]["failed"] is False
    lab.change("sw1", motd="new")
    lab.options("sw1", fail="commit")
    assert reason(sync(confirm_mode=mode), "sw1") == "commit failed: Commit refused by the device"  # it runs the same
    lab.options("sw1")
    assert devices_of(sync(confirm_mode=mode))["sw1"]["failed"] is False
    assert lab.running("sw1") == "hostname sw1\nmotd new\n"
    lab.set_running("sw1", "hostname sw1\nmotd intruder\n")
    assert "changed outside" in reason(sync(confirm_mode=mode, dry_run=True), "sw1")


@database
def test_a_device_that_can_not_be_recognised_is_told_of_and_goes_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    original = LabDriver.get_config
    readings: list[int] = []

    def get_config(self: LabDriver, *args: Any, **kwargs: Any) -> dict[str, str]:
        readings.append(1)
        return {**original(self, *args, **kwargs), "running": "line\n" * len(readings)}

    monkeypatch.setattr(LabDriver, "get_config", get_config)
    lab.add("sw1")
    assert note(sync(), "sw1") == UNRECOGNISABLE
    assert DeviceState.objects.get().running_hash == ""
    lab.change("sw1", motd="new")
    assert devices_of(sync())["sw1"]["failed"] is False


@database
def test_lines_that_a_setting_names_are_no_change_from_outside(lab: Lab, settings: Settings) -> None:
    settings.CNAASJOBS_LINES_LEFT_OUT = {"lab": re.compile("^ntp clock-period ")}
    lab.add("sw1")
    sync()
    lab.change("sw1", motd="new")
    lab.set_running("sw1", "hostname sw1\nntp clock-period 1\nmotd hello\n")
    assert devices_of(sync())["sw1"]["failed"] is False
