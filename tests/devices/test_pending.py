"""Commits that wait for their confirmation: whose they are, and what happened to ours.

Another user's is never taken back.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from cnaasjobs.events import Event
from devices.actions import DeviceAction
from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.sync import device, timed_commit
from devices.sync.one_device import DeviceSync
from devices.sync.words import DeviceFailure
from devices.tasks import sync_devices
from jobs.models import Job
from jobs.states import Status
from jobs.testing import perform_job
from tests.devices.foreign import Foreign
from tests.devices.lab import Lab, devices_of, note, reason
from tests.devices.test_stopping import when

pytestmark = pytest.mark.django_db(transaction=True)

UNTIL = r"reverts by itself by \d\d:\d\d:\d\d UTC"
THEIRS = "hostname theirs\n"
COMMIT = LabDriver.commit_config  # as it is when a test waits for ours


def live(**kwargs: Any) -> Job:
    return perform_job(sync_devices, **{"all": True, "dry_run": False, "confirm_mode": 1, **kwargs})


def commit_by_hand(name: str = "sw1") -> None:
    """Another user's commit, on a separate connection, with a timer of ten minutes."""
    theirs = LabDriver(name)
    theirs.load_replace_candidate(config=THEIRS)
    COMMIT(theirs, revert_in=600)


def confirm_and_commit_by_hand() -> None:
    LabDriver("sw1").confirm_commit()
    commit_by_hand()


def running(name: str = "sw1") -> str:
    return str(LabDriver(name).get_config()["running"])


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("verb", ["compare_config", "commit_config"])
def test_a_commit_made_by_hand_between_our_preparation_and_our_commit_stays(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int, verb: str
) -> None:
    lab.add("sw1")
    live()
    lab.change("sw1", motd="new")
    rolled_back = when(monkeypatch, "rollback", "nobody", lambda: None)
    when(monkeypatch, verb, "sw1", commit_by_hand)
    said = reason(live(confirm_mode=mode), "sw1")
    assert "waits for its confirmation" in said
    assert (rolled_back, running(), LabDriver("sw1").has_pending_commit()) == ([], THEIRS, True)
    # A commit that was not sent leaves nothing unknown.
    assert (DeviceState.objects.get().uncertain_job_id is None) is (verb == "compare_config")
    LabDriver("sw1").rollback()
    assert running() == "hostname sw1\nmotd hello\n"


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_a_driver_that_would_commit_over_a_pending_commit_is_not_let_to(lab: Lab, foreign: Foreign, mode: int) -> None:
    """On some platforms this confirms the other user's commit."""
    installed = foreign.install(
        "napalm_foo",
        """
original = ForeignDriver.compare_config
def compare_config(self):
    self.device["pending"] = "theirs"
    return original(self)
ForeignDriver.compare_config = compare_config
""",
    )
    lab.template("x\n", platform="foo")
    lab.add("r1", platform="foo")
    assert "waits for its confirmation" in reason(live(confirm_mode=mode), "r1")
    found = installed.devices["r1"]
    assert (found["pending"], found["calls"]) == ("theirs", ["open", "load", "discard", "close"])


def test_a_commit_by_hand_is_never_taken_for_ours_by_a_driver_that_can_not_tell_them_apart(
    lab: Lab, foreign: Foreign
) -> None:
    """Our commit fails because of theirs, so a pending commit proves nothing."""
    installed = foreign.install(
        "napalm_foo",
        """
def commit_config(self, message="", revert_in=None):
    self.device["pending"] = "theirs"
    raise CommitError("another session has a commit pending")
ForeignDriver.commit_config = commit_config
""",
    )
    lab.template("x\n", platform="foo")
    lab.add("r1", platform="foo")
    for mode in (1, 2):
        installed.devices.clear()
        assert reason(live(confirm_mode=mode), "r1") == (
            "commit failed: another session has a commit pending; a commit that may not be ours waits for its"
            " confirmation on the device, and is left alone; if it was made, it reverts by itself"
        )
        assert installed.devices["r1"]["pending"] == "theirs"
        assert "rollback" not in installed.devices["r1"]["calls"]


@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize(
    ("happens", "said", "left"),
    [
        (confirm_and_commit_by_hand, "a commit other than ours is pending on the device", THEIRS),
        (lambda: LabDriver("sw1").confirm_commit(), timed_commit.NOTHING_PENDING, "hostname sw1\nmotd hello\n"),
        (lambda: LabDriver("sw1").rollback(), timed_commit.NOTHING_PENDING, ""),
    ],
)
def test_what_happened_to_our_commit_meanwhile_is_left_as_it_is(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int, happens: Callable[[], object], said: str, left: str
) -> None:
    lab.add("sw1")
    confirmed = when(monkeypatch, "confirm_commit", "nobody", lambda: None)
    rolled_back = when(monkeypatch, "rollback", "nobody", lambda: None)
    original = device.Device.probe

    def probe(self: device.Device) -> None:
        original(self)
        happens()
        confirmed.clear()
        rolled_back.clear()

    monkeypatch.setattr(device.Device, "probe", probe)
    assert reason(live(confirm_mode=mode), "sw1") == said
    assert (confirmed, rolled_back, running()) == ([], [], left)


@pytest.mark.parametrize("mode", [1, 2])
def test_another_commit_is_not_taken_back_when_ours_failed_its_probe(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    lab.add("sw1")

    def probe(self: device.Device) -> None:
        confirm_and_commit_by_hand()
        raise DeviceFailure("not reachable after the commit: no route to host")

    monkeypatch.setattr(device.Device, "probe", probe)
    assert reason(live(confirm_mode=mode), "sw1") == (
        "not reachable after the commit: no route to host; not rolled back (a commit other than ours is pending on the"
        " device)"
    )
    assert running() == THEIRS


def unreachable(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def probe(self: device.Device) -> None:
        if self._host.name in names:
            raise DeviceFailure("not reachable after the commit: no route to host")

    monkeypatch.setattr(device.Device, "probe", probe)


def test_mode_1_says_what_became_of_a_commit_that_cut_the_device_off(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, heard: list[Event]
) -> None:
    unreachable(monkeypatch, "sw1", "sw2")
    lab.add("sw1", "sw2")
    original = LabDriver.rollback

    def rollback(self: LabDriver) -> None:
        if self.hostname == "sw2":
            raise OSError("connection lost")
        original(self)

    monkeypatch.setattr(LabDriver, "rollback", rollback)
    job = live()
    assert reason(job, "sw1") == "not reachable after the commit: no route to host; rolled back"
    assert re.fullmatch(
        rf"not reachable after the commit: no route to host; {UNTIL} \(rollback failed: connection lost\)",
        reason(job, "sw2"),
    )
    assert [LabDriver(name).has_pending_commit() for name in ("sw1", "sw2")] == [False, True]
    failed = [event.fields for event in heard if event.action is DeviceAction.ROLLBACK_FAILED]
    assert [(fields["host"], fields["reason"]) for fields in failed] == [("sw2", "rollback failed: connection lost")]


def test_a_fault_while_a_commit_waits_says_until_when(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: DeviceSync) -> None:
        raise OSError("no more files")

    unreachable(monkeypatch, "sw1")
    monkeypatch.setattr(DeviceSync, "take_back", broken)
    lab.add("sw1")
    faults = "not reachable after the commit: no route to host; internal error: OSError: no more files"
    assert re.fullmatch(f"{faults}; committed, and {UNTIL}", reason(live(), "sw1"))
    monkeypatch.setattr(DeviceSync, "__init__", lambda self, *_, **__: broken(self))  # it has no report of its own yet
    assert devices_of(live())["sw1"] == {"failed": True, "reason": "OSError: no more files"}


def test_mode_2_says_which_were_not_committed_rolled_back_or_are_left_to_their_timers(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.workers = 1
    lab.add("sw1", "sw2", "bad", "sw4")
    unreachable(monkeypatch, "bad")
    original = LabDriver.rollback

    def rollback(self: LabDriver) -> None:
        if self.hostname == "sw2":
            raise OSError("connection lost")
        original(self)

    monkeypatch.setattr(LabDriver, "rollback", rollback)
    job = live(confirm_mode=2)
    why = "because of bad: confirm_mode 2 is all devices or none"
    assert job.status == Status.FINISHED
    assert reason(job, "sw1") == f"committed, and rolled back {why}"
    assert re.fullmatch(rf"committed, and {UNTIL} \(rollback failed: connection lost\) {why}", reason(job, "sw2"))
    assert reason(job, "bad") == "not reachable after the commit: no route to host; rolled back"
    assert reason(job, "sw4") == f"not committed {why}"
    assert sorted(json.loads(job.finished_devices or "")) == ["bad", "sw1", "sw2", "sw4"]


@pytest.mark.parametrize("known", [True, False])
def test_a_dry_run_says_that_a_commit_waits_for_its_confirmation(lab: Lab, known: bool) -> None:
    lab.add("sw1")
    if known:
        live()
        lab.change("sw1", motd="new")
    commit_by_hand()
    job = live(dry_run=True)
    said = "a commit waits for its confirmation on the device, which may revert it"
    if known:
        assert reason(job, "sw1").endswith(f"use force to overwrite that; {said}")
        job = live(dry_run=True, force=True)
    assert note(job, "sw1") == said
    assert "-hostname theirs" in devices_of(job)["sw1"]["job_tasks"][2]["diff"]
    assert running() == THEIRS


def unknown(heard: list[Event]) -> list[object]:
    """What was logged of drivers that could not say what is pending."""
    return [event.fields["reason"] for event in heard if event.action is DeviceAction.PENDING_UNKNOWN]


def test_a_dry_run_of_a_driver_that_can_not_say_goes_on(lab: Lab, foreign: Foreign, heard: list[Event]) -> None:
    foreign.install("napalm_foo", "def fails(self): raise OSError('no')\nForeignDriver.has_pending_commit = fails\n")
    lab.template("x\n", platform="foo")
    lab.add("r1", platform="foo")
    assert note(live(dry_run=True), "r1") is None
    assert unknown(heard) == ["cannot ask for pending commits: no"]


@pytest.mark.parametrize("times", [1, 9])
def test_a_driver_that_fails_to_say_which_commit_is_pending_is_asked_whether_one_is(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, heard: list[Event], times: int
) -> None:
    """Also if it says so later: nobody knows which it was when it was made."""
    failures, original = [OSError("not now")] * times, LabDriver._get_pending_commits

    def ask(self: LabDriver) -> dict[str, int]:
        if failures:
            raise failures.pop()
        return original(self)

    monkeypatch.setattr(LabDriver, "_get_pending_commits", ask)
    lab.add("sw1")
    assert note(live(), "sw1") is None
    assert unknown(heard) == ["cannot ask which commit is pending: not now"]
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"


@pytest.mark.parametrize("taken_back", [True, False])
@pytest.mark.parametrize("recognised", [True, False])
def test_a_commit_taken_back_leaves_what_was_known(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, recognised: bool, taken_back: bool
) -> None:
    lab.add("sw1")
    live()
    if not recognised:
        DeviceState.objects.update(running_hash="")
    lab.change("sw1", motd="new")
    unreachable(monkeypatch, "sw1")
    if not taken_back:
        monkeypatch.setattr(timed_commit, "LEFT_ALONE_SECONDS", 300.0)
    live()
    assert (DeviceState.objects.get().uncertain_job_id is None) is taken_back
    lab.change("sw1", motd="hello")
    lab.options("sw1", fail="open")
    assert devices_of(live())["sw1"]["failed"] is not taken_back
