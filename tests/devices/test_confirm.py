"""Confirm modes: a timer by which a device reverts, the reachability check, all devices or none."""

import json
import os
from datetime import timedelta

import pytest
from django.db.models import F
from pytest_django import Settings

from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.sync import device
from devices.sync.one_device import DeviceSync
from devices.tasks import sync_devices
from jobs.models import Fleet, Job, JobDevice
from jobs.states import Status
from jobs.testing import perform_job
from tests.devices.foreign import Foreign
from tests.devices.lab import Lab, devices_of, note, reason
from tests.devices.test_stopping import clear, contexts, elsewhere, pending, when

pytestmark = pytest.mark.django_db(transaction=True)

RENDERED = "hostname {}\nmotd hello\n"


def live(**kwargs: object) -> Job:
    return perform_job(sync_devices, **{"all": True, "dry_run": False, "confirm_mode": 1, **kwargs})


def stops_before_the_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the worker is gone: nothing of the job touches the device any more."""
    running = contexts(monkeypatch)

    def stop(self: DeviceSync) -> None:
        elsewhere(clear)
        running[-1].checkpoint()

    monkeypatch.setattr(DeviceSync, "confirm", stop)


def expire(lab: Lab, host: str) -> None:
    """The deadline of a pending commit passes."""
    os.utime(lab.pending_file(host), ns=(0, 0))


def test_without_a_confirm_the_device_reverts_by_itself_and_is_not_in_sync(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.add("sw1")
    live()
    lab.change("sw1", motd="new")
    with monkeypatch.context() as patched:
        stops_before_the_confirm(patched)
        dead = live()
    assert dead.status == Status.EXCEPTION
    device = LabDriver("sw1")
    assert device.has_pending_commit()
    assert device.get_config()["running"] == "hostname sw1\nmotd new\n"
    expire(lab, "sw1")
    assert device.get_config()["running"] == "hostname sw1\nmotd hello\n"
    assert DeviceState.objects.get(host="sw1").uncertain_job_id == dead.pk
    lab.change("sw1", motd="hello")
    lab.options("sw1", fail="open")
    assert "cannot connect" in reason(live(), "sw1")  # what was known before does not prove that it is in sync
    lab.change("sw1", motd="new")
    lab.options("sw1")
    job = live()
    assert "+motd new" in devices_of(job)["sw1"]["job_tasks"][2]["diff"]
    assert lab.running("sw1") == "hostname sw1\nmotd new\n"


def test_one_that_failed_after_its_commit_says_that_it_reverts_if_it_may_not_be_taken_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock was lost meanwhile."""
    monkeypatch.setattr(device, "PROBE_SECONDS", 0.0)
    original = LabDriver.open

    def open_(self: LabDriver) -> None:
        if pending(lab):
            elsewhere(clear)
            raise OSError("no route to host")
        original(self)

    monkeypatch.setattr(LabDriver, "open", open_)
    lab.add("sw1")
    assert live().exception_type == "LockLost"
    failed = "not reachable after the commit: no route to host; committed, and reverts by itself by "
    assert (JobDevice.objects.get().reason or "").startswith(failed)


def test_a_device_that_is_away_for_a_moment_after_its_commit_is_asked_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "PROBE_PAUSE_SECONDS", 0.01)
    original = LabDriver.open
    opened: list[str] = []

    def away_once(self: LabDriver) -> None:
        opened.append(self.hostname)
        if len(opened) == 2:
            raise OSError("no route to host")
        original(self)

    monkeypatch.setattr(LabDriver, "open", away_once)
    lab.add("sw1")
    assert devices_of(live())["sw1"]["failed"] is False
    assert opened == ["sw1"] * 3


def test_all_or_none_commits_on_no_device_when_one_cannot_be_prepared(lab: Lab) -> None:
    lab.add("sw1", "sw2")
    lab.add("bad", fail="load")
    job = live(confirm_mode=2)
    assert job.status == Status.FINISHED
    assert reason(job, "bad") == "configuration not accepted: % Invalid input detected"
    for name in ("sw1", "sw2"):
        assert reason(job, name) == "not committed because of bad: confirm_mode 2 is all devices or none"
        assert devices_of(job)[name]["job_tasks"][2]["diff"] != ""
        assert lab.running(name) is None
    assert not (lab.state / "lab" / ".pending").exists()
    assert sorted(json.loads(job.finished_devices or "")) == ["bad", "sw1", "sw2"]
    assert DeviceState.objects.count() == 0


def test_all_or_none_takes_back_every_commit_when_one_fails(lab: Lab) -> None:
    lab.workers = 1
    lab.add("sw1", "sw2")
    live()
    for name in ("sw1", "sw2"):
        lab.change(name, motd="new")
    lab.add("bad", fail="commit")
    lab.add("later")
    job = live(confirm_mode=2)
    assert reason(job, "bad") == "commit failed: Commit refused by the device"
    assert reason(job, "later") == "not committed because of bad: confirm_mode 2 is all devices or none"
    for name in ("sw1", "sw2"):
        assert reason(job, name) == ("committed, and rolled back because of bad: confirm_mode 2 is all devices or none")
        assert LabDriver(name).get_config()["running"] == RENDERED.format(name)
        assert not LabDriver(name).has_pending_commit()
    assert sorted(json.loads(job.finished_devices or "")) == ["bad", "later", "sw1", "sw2"]
    # What was known before holds: their old configuration is still in sync, and a change from outside is still seen.
    assert list(DeviceState.objects.filter(uncertain_job_id=None).values_list("host", flat=True)) == ["sw1", "sw2"]


def test_all_or_none_leaves_devices_in_sync_alone(lab: Lab) -> None:
    lab.add("sw1")
    live()
    lab.add("bad", fail="load")
    job = live(confirm_mode=2)
    assert devices_of(job)["sw1"]["failed"] is False


def test_all_or_none_keeps_every_connection_until_the_last_confirm(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install("napalm_foo")
    lab.template("x\n", platform="foo")
    lab.add("r1", "r2", platform="foo")
    live(confirm_mode=2)
    for name in ("r1", "r2"):
        found = installed.devices[name]
        assert found["calls"] == ["open", "load", ("commit", "", 300), "open", "close", "confirm", "close"]
        assert (found["running"], found["open"]) == ("x\n", 0)


@pytest.mark.parametrize("mode", [1, 2])
def test_a_commit_that_follows_our_confirm_is_left_alone(lab: Lab, foreign: Foreign, mode: int) -> None:
    """A driver that can't tell commits apart would take it for ours."""
    installed = foreign.install(
        "napalm_foo",
        """
original = ForeignDriver.confirm_commit
def confirm_commit(self):
    original(self)
    self.device["pending"] = "theirs"
ForeignDriver.confirm_commit = confirm_commit
""",
    )
    lab.template("x\n", platform="foo")
    lab.add("r1", platform="foo")
    assert note(live(confirm_mode=mode), "r1") is None
    assert installed.devices["r1"]["pending"] == "theirs"


@pytest.mark.parametrize(
    ("minutes", "took", "became"), [(0, 0, "reverts by itself by "), (2, 61, "rolled back because"), (2, 45, "")]
)
def test_all_or_none_gives_up_when_the_timers_may_run_out(
    lab: Lab, settings: Settings, monkeypatch: pytest.MonkeyPatch, minutes: int, took: int, became: str
) -> None:
    settings.CNAASJOBS_CONFIRM_MINUTES = minutes
    lab.add("sw1")
    earlier = F("allowed_at") - timedelta(seconds=took)
    when(monkeypatch, "commit_config", "sw1", lambda: Fleet.objects.update(allowed_at=earlier))
    job = live(confirm_mode=2)
    if not became:
        assert note(job, "sw1") is None
        return
    assert reason(job, "sw1").startswith(f"committed, and {became}")
    assert "because of the time the commits took" in reason(job, "sw1")
    assert lab.running("sw1") is None


@pytest.mark.parametrize("minutes", [1, 7])
def test_the_timer_is_in_whole_minutes(lab: Lab, foreign: Foreign, settings: Settings, minutes: int) -> None:
    settings.CNAASJOBS_CONFIRM_MINUTES = minutes
    installed = foreign.install("napalm_foo")
    lab.template("x\n", platform="foo")
    lab.add("r1", platform="foo")
    live()
    assert ("commit", "", minutes * 60) in installed.devices["r1"]["calls"]


@pytest.mark.parametrize(("mode", "timer"), [(0, None), (1, 300)])
def test_the_default_mode_is_the_setting(
    lab: Lab, foreign: Foreign, settings: Settings, mode: int, timer: int | None
) -> None:
    settings.CNAASJOBS_CONFIRM_MODE = mode
    installed = foreign.install("napalm_foo")
    lab.template("x\n", platform="foo")
    lab.add("r1", platform="foo")
    live(confirm_mode=None)
    assert ("commit", "", timer) in installed.devices["r1"]["calls"]
