"""Whatever one device's driver raises, returns or is given ends only that device, with a reason in its result."""

import json
import logging
from typing import Any

import pytest

from cnaasjobs.events import Event
from devices.actions import DeviceAction
from devices.sync import device
from devices.sync.words import UNSPEAKABLE
from devices.tasks import sync_devices
from jobs.models import Job
from jobs.states import Status
from jobs.testing import perform_job
from tests.devices.foreign import Foreign
from tests.devices.lab import Lab, devices_of, logged, reason

pytestmark = pytest.mark.django_db(transaction=True)

ODD = """
ForeignDriver.__del__ = lambda self: None  # it closes once more, outside of any job

class Unspeakable(Exception):
    def __str__(self):
        raise SystemExit("no words")

class NoText(Exception):
    def __str__(self):
        return 7

class Nameless(type):
    @property
    def __name__(cls):
        raise KeyboardInterrupt

class WithoutName(Exception, metaclass=Nameless):
    pass

def recurse():
    recurse()

def raises(exception):
    raise exception

def odd(verb, act):
    def patched(self, *args, **kwargs):
        self.call(verb)
        return act()
    setattr(ForeignDriver, verb, patched)

"""
RAISED = {
    'raises(SystemExit("bye"))': "bye",
    "raises(KeyboardInterrupt)": "KeyboardInterrupt",
    "raises(GeneratorExit)": "GeneratorExit",
    "raises(BaseException)": "BaseException",
    "raises(StopIteration)": "StopIteration",
    "raises(MemoryError)": "MemoryError",
    "recurse()": "maximum recursion depth exceeded",
    "raises(Unspeakable)": "Unspeakable that can't be shown (SystemExit)",
    "raises(NoText)": "NoText that can't be shown (TypeError)",
    "raises(ExceptionGroup('two', [ValueError(1), OSError()]))": "two (2 sub-exceptions)",
    r"raises(ValueError('\udcff\x00'))": "\\udcff\ufffd",
}
VERBS = {
    "open": "cannot connect",
    "load_replace_candidate": "configuration not accepted",
    "compare_config": "cannot compare configurations",
    "commit_config": "commit failed",
}


def sync(lab: Lab, **options: Any) -> Job:
    return perform_job(sync_devices, **{"all": True, "dry_run": False, "confirm_mode": 0, **options})


def beside_a_good_one(lab: Lab) -> None:
    lab.template("hostname {{ host }}\nmotd {{ motd }}\n", platform="foo")
    lab.add("r1", platform="foo")
    lab.add("sw1")


def only_r1_failed(job: Job) -> str:
    assert (job.status, sorted(json.loads(job.finished_devices or ""))) == (Status.FINISHED, ["r1", "sw1"])
    assert devices_of(job)["sw1"]["failed"] is False
    return reason(job, "r1")


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("verb", VERBS)
def test_whatever_a_driver_raises_fails_its_device_alone(lab: Lab, foreign: Foreign, verb: str, raised: str) -> None:
    installed = foreign.install("napalm_foo", f"{ODD}odd({verb!r}, lambda: {raised})\n")
    beside_a_good_one(lab)
    said = only_r1_failed(sync(lab))
    assert said.startswith(f"{VERBS[verb]}: {RAISED[raised]}")
    # What it was given, perhaps in part, is not left for the next one to commit.
    assert ("discard" in installed.devices["r1"]["calls"]) is (verb != "open")


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_an_exception_that_has_not_even_a_name_fails_its_device_alone(lab: Lab, foreign: Foreign, mode: int) -> None:
    foreign.install("napalm_foo", f"{ODD}odd('open', lambda: raises(WithoutName))\n")
    beside_a_good_one(lab)
    job = sync(lab, confirm_mode=mode)
    assert (job.status, reason(job, "r1")) == (Status.FINISHED, f"cannot connect: {UNSPEAKABLE}")


@pytest.mark.parametrize("verb", ["confirm_commit", "has_pending_commit", "rollback", "discard_config", "close"])
@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("raised", ["raises(KeyboardInterrupt)", "recurse()", "raises(WithoutName)"])
def test_an_odd_exception_in_any_step_fails_only_its_device(
    lab: Lab, foreign: Foreign, heard: list[Event], verb: str, mode: int, raised: str
) -> None:
    foreign.install("napalm_foo", f"{ODD}odd({verb!r}, lambda: {raised})\n")
    beside_a_good_one(lab)
    job = sync(lab, confirm_mode=mode)
    assert job.status == Status.FINISHED
    assert set(devices_of(job)) == {"r1", "sw1"}
    assert devices_of(job)["r1"]["failed"] is (verb in ("confirm_commit", "has_pending_commit"))
    unclosed = [event.fields["reason"] for event in heard if event.action is DeviceAction.CLOSE_FAILED]
    assert unclosed == (["connection not closed cleanly"] if verb == "close" else [])


SECOND_FAILS = """
original = ForeignDriver.__init__
def __init__(self, *args, **options):
    original(self, *args, **options)
    if self.device["pending"]:
        raise OSError("no more sockets")
ForeignDriver.__init__ = __init__
"""


def test_a_connection_that_can_not_even_be_made_did_not_reach_the_device(
    lab: Lab, foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "PROBE_SECONDS", 0.0)
    foreign.install("napalm_foo", ODD + SECOND_FAILS)
    beside_a_good_one(lab)
    said = "not reachable after the commit: no more sockets; rolled back"
    assert only_r1_failed(sync(lab, confirm_mode=1)) == said


def test_whatever_is_true_means_that_a_commit_waits(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install(
        "napalm_foo", "ForeignDriver.has_pending_commit = lambda self: self.device['pending']\n"
    )
    beside_a_good_one(lab)
    assert devices_of(sync(lab, confirm_mode=1))["r1"]["failed"] is False
    installed.devices["r1"]["pending"] = "theirs"
    assert "waits for its confirmation" in only_r1_failed(sync(lab, confirm_mode=1, resync=True))


def test_one_that_can_not_discard_its_candidate_is_closed_nevertheless(lab: Lab, foreign: Foreign) -> None:
    fails = (
        "for verb in ('load_replace_candidate', 'discard_config'):\n    odd(verb, lambda: raises(OSError('gone')))\n"
    )
    installed = foreign.install("napalm_foo", f"{ODD}{fails}")
    beside_a_good_one(lab)
    only_r1_failed(sync(lab))
    assert installed.devices["r1"]["calls"][-2:] == ["discard_config", "close"]


def test_what_no_database_can_store_is_shown_in_another_form(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install("napalm_foo", ODD + r"odd('compare_config', lambda: '+ a\x00\udcff')")
    beside_a_good_one(lab)
    lab.template(r'motd {{ "\x00" }}', platform="foo")
    found = devices_of(sync(lab))["r1"]
    assert (found["failed"], installed.devices["r1"]["running"]) == (False, "motd \x00")
    assert [found["job_tasks"][1]["result"], found["job_tasks"][2]["diff"]] == ["motd \ufffd", "+ a\ufffd\\udcff"]


@pytest.mark.parametrize("answer", ["None", "7", "{}", "{'running': None}", "{'running': 7}", "{'running': '\\udcff'}"])
def test_an_odd_running_configuration_ends_no_job(lab: Lab, foreign: Foreign, heard: list[Event], answer: str) -> None:
    foreign.install("napalm_foo", f"{ODD}odd('get_config', lambda: {answer})\n")
    beside_a_good_one(lab)
    for _ in range(2):
        assert devices_of(sync(lab, resync=True))["r1"]["failed"] is False
    unread = [event.fields["host"] for event in heard if event.action is DeviceAction.CONFIG_UNREAD]
    assert unread == ([] if "running" in answer else ["r1", "r1"])


@pytest.mark.parametrize("password", [1234567, 12.5, True, 0, "", None])
def test_a_password_of_any_type_stands_in_no_message(
    lab: Lab, foreign: Foreign, caplog: pytest.LogCaptureFixture, password: object
) -> None:
    foreign.install(
        "napalm_foo", f"{ODD}def open(self): raise ValueError(f'no {{self.password}}')\nForeignDriver.open = open\n"
    )
    beside_a_good_one(lab)
    lab.hosts["r1"]["password"] = password
    lab.write()
    with caplog.at_level(logging.DEBUG):
        said = only_r1_failed(sync(lab))
    secret = str(password or "device-password")
    assert (secret in said or secret in logged(caplog)) is (len(secret) < 4)


def test_a_failure_outside_of_a_step_is_the_devices_own(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from devices.sync.one_device import DeviceSync

    original = DeviceSync.close

    def close(self: DeviceSync) -> None:
        original(self)
        if self.host.name == "sw1":
            raise KeyError("a fault of ours")

    monkeypatch.setattr(DeviceSync, "close", close)
    lab.add("sw1", "sw2")
    job = sync(lab)
    assert reason(job, "sw1") == "internal error: KeyError: 'a fault of ours'; it was committed"
    assert devices_of(job)["sw2"]["failed"] is False
