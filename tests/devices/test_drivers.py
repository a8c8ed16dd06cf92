"""Any NAPALM driver works by naming its platform in the inventory, whatever it can and cannot do."""

import importlib
import logging
import sys
from typing import Any

import pytest
from napalm.base import get_network_driver

from devices.drivers import driver_named
from devices.lab.driver import LabDriver
from devices.sync import device
from devices.tasks import sync_devices
from jobs.models import Job
from jobs.testing import perform_job
from tests.devices.foreign import Foreign
from tests.devices.lab import Lab, devices_of, logged, note, reason

pytestmark = pytest.mark.django_db(transaction=True)

RENDERED = "hostname r1\nmotd hello\n"


def sync(lab: Lab, *, dry_run: bool = False, confirm_mode: int = 1) -> Job:
    return perform_job(sync_devices, all=True, dry_run=dry_run, confirm_mode=confirm_mode)


def add(lab: Lab, platform: str = "foo", **args: Any) -> None:
    lab.template("hostname {{ host }}\nmotd {{ motd }}\n", platform=platform)
    lab.add("r1", platform=platform, **args)


def test_napalm_finds_the_lab_driver_by_its_name() -> None:
    assert get_network_driver("lab") is LabDriver


@pytest.mark.parametrize("module", ["napalm_foo", "custom_napalm.foo"])
def test_an_installed_driver_works_by_its_platform_name(lab: Lab, foreign: Foreign, module: str) -> None:
    installed = foreign.install(module)
    add(lab, port=2222)
    assert devices_of(sync(lab))["r1"]["failed"] is False
    found = installed.devices["r1"]
    assert (found["running"], found["open"]) == (RENDERED, 0)
    assert found["calls"] == ["open", "load", ("commit", "", 300), "open", "close", "confirm", "close"]


def test_a_dry_run_discards_and_closes(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install("napalm_foo")
    add(lab)
    job = sync(lab, dry_run=True)
    assert devices_of(job)["r1"]["job_tasks"][2]["diff"] == f"+ {RENDERED}"
    assert installed.devices["r1"]["calls"] == ["open", "load", "discard", "close"]


WITHOUT_REVERT = """
def commit_config(self, message=""):
    self.call("commit", message, None)
    self.device["running"] = self.candidate
ForeignDriver.commit_config = commit_config
"""
WITHOUT_CONFIRM = "del ForeignDriver.confirm_commit\n"
WITHOUT_PENDING = """
def has_pending_commit(self):
    raise NotImplementedError
ForeignDriver.has_pending_commit = has_pending_commit
"""


@pytest.mark.parametrize("more", [WITHOUT_REVERT, WITHOUT_CONFIRM, WITHOUT_PENDING])
@pytest.mark.parametrize("mode", [1, 2])
def test_a_driver_without_commit_confirm_fails_its_device_before_any_change(
    lab: Lab, foreign: Foreign, more: str, mode: int
) -> None:
    installed = foreign.install("napalm_foo", more)
    add(lab)
    assert reason(sync(lab, confirm_mode=mode), "r1") == (
        "driver ForeignDriver has no commit-confirm; sync this device with confirm_mode 0"
    )
    assert installed.devices["r1"]["calls"] == ["open", "close"]


PENDING_FAILS = """
def has_pending_commit(self):
    raise CommitConfirmException("commit-confirm needs release 14.1")
ForeignDriver.has_pending_commit = has_pending_commit
"""


@pytest.mark.parametrize("more", [WITHOUT_REVERT, WITHOUT_CONFIRM, WITHOUT_PENDING, PENDING_FAILS])
def test_a_driver_without_commit_confirm_works_in_mode_0(lab: Lab, foreign: Foreign, more: str) -> None:
    installed = foreign.install("napalm_foo", more)
    add(lab)
    assert devices_of(sync(lab, confirm_mode=0))["r1"]["failed"] is False
    assert installed.devices["r1"]["running"] == RENDERED


def test_a_driver_that_refuses_timers_only_when_asked_fails_its_device(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install(
        "napalm_foo",
        """
def commit_config(self, message="", revert_in=None):
    raise NotImplementedError("Commit confirm has not been implemented on this platform.")
ForeignDriver.commit_config = commit_config
""",
    )
    add(lab)
    assert reason(sync(lab), "r1") == (
        "commit failed: driver ForeignDriver does not support it "
        "(Commit confirm has not been implemented on this platform.)"
    )
    assert installed.devices["r1"]["running"] == ""
    assert installed.devices["r1"]["calls"][-2:] == ["discard", "close"]


@pytest.mark.parametrize(
    ("signature", "mode"), [("self", 0), ("self, revert_in=None", 1), ("self, *, revert_in=None, **_", 1)]
)
def test_no_message_goes_to_a_driver_that_takes_none(lab: Lab, foreign: Foreign, signature: str, mode: int) -> None:
    installed = foreign.install(
        "napalm_foo",
        f"""
original = ForeignDriver.commit_config
def commit_config({signature}):
    original(self, "", {"revert_in" if mode else "None"})
ForeignDriver.commit_config = commit_config
""",
    )
    add(lab)
    assert devices_of(sync(lab, confirm_mode=mode))["r1"]["failed"] is False
    assert installed.devices["r1"]["running"] == RENDERED


def test_a_driver_without_replace_says_so(lab: Lab, foreign: Foreign) -> None:
    foreign.install("napalm_foo", "del ForeignDriver.load_replace_candidate\n")
    add(lab)
    assert reason(sync(lab), "r1") == "configuration not accepted: driver ForeignDriver does not support it"


def test_a_driver_that_shows_no_running_configuration_still_syncs(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install("napalm_foo", "del ForeignDriver.get_config\n")
    add(lab)
    assert note(sync(lab), "r1") is None
    installed.devices["r1"]["running"] = "changed"
    lab.change("r1", motd="new")
    assert devices_of(sync(lab))["r1"]["failed"] is False


@pytest.mark.parametrize("answer", ["None", "''"])
def test_a_driver_may_answer_none_where_there_is_no_diff(lab: Lab, foreign: Foreign, answer: str) -> None:
    foreign.install("napalm_foo", f"ForeignDriver.compare_config = lambda self: {answer}\n")
    add(lab)
    found = devices_of(sync(lab))["r1"]
    assert (found["failed"], found["job_tasks"][2]["diff"]) == (False, "")


def test_a_driver_that_answers_with_no_text_fails_its_device(lab: Lab, foreign: Foreign) -> None:
    foreign.install("napalm_foo", "ForeignDriver.compare_config = lambda self: NotImplementedError\n")
    add(lab)
    assert "does not return text when it compares" in reason(sync(lab), "r1")


def test_whatever_a_driver_raises_is_its_devices_failure(lab: Lab, foreign: Foreign) -> None:
    foreign.install(
        "napalm_foo",
        """
def load_replace_candidate(self, filename=None, config=None):
    raise SystemExit("usage: never")
ForeignDriver.load_replace_candidate = load_replace_candidate
""",
    )
    add(lab)
    lab.add("sw1")
    job = sync(lab)
    assert reason(job, "r1") == "configuration not accepted: usage: never"
    assert devices_of(job)["sw1"]["failed"] is False


def test_a_connection_that_failed_half_way_is_closed(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install("napalm_foo")
    installed.devices["r1"] = {"running": "", "calls": [], "open": 0, "pending": None, "unreachable": True}
    add(lab)
    assert reason(sync(lab), "r1") == "cannot connect: no route to host"
    assert installed.devices["r1"]["calls"] == ["open", "close"]


def test_a_platform_without_a_driver_says_so(lab: Lab) -> None:
    add(lab, platform="nosuch")
    assert reason(sync(lab), "r1") == "no NAPALM driver for platform nosuch is installed where this worker runs"


def test_a_driver_that_cannot_be_imported_says_why(lab: Lab, foreign: Foreign) -> None:
    foreign.install("napalm_foo")
    file = foreign.directory / "napalm_foo.py"
    del sys.modules["napalm_foo"]
    for text, said in (("import nosuch", "ModuleNotFoundError: No module named 'nosuch'"), ("1 / 0", "ZeroDivision")):
        file.write_text(text)
        importlib.invalidate_caches()
        driver_named.cache_clear()
        add(lab)
        assert reason(sync(lab), "r1").startswith(f"the driver for platform foo can't be imported: {said}")


def test_netmikos_advice_for_programmers_is_left_out(lab: Lab, foreign: Foreign) -> None:
    foreign.install(
        "napalm_foo",
        """
from netmiko import NetmikoAuthenticationException
def open(self):
    raise NetmikoAuthenticationException("Authentication to device failed.\\n\\nCommon causes: 1. 2. 3.")
ForeignDriver.open = open
""",
    )
    add(lab)
    assert reason(sync(lab), "r1") == "cannot connect: wrong credentials (Authentication to device failed.)"


def test_a_devices_password_stands_in_no_message(lab: Lab, foreign: Foreign, caplog: pytest.LogCaptureFixture) -> None:
    foreign.install(
        "napalm_foo",
        """
def open(self):
    raise ValueError(f"bad URL https://{self.username}:{self.password}@r1")
ForeignDriver.open = open
""",
    )
    add(lab)
    with caplog.at_level(logging.DEBUG):
        assert reason(sync(lab), "r1") == "cannot connect: bad URL https://admin:********@r1"
    assert "device-password" not in logged(caplog)


def test_connection_options_of_a_group_are_not_shared_between_its_hosts(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install("napalm_foo")
    lab.template("x\n", platform="foo")
    lab.groups["foo"] = {
        "platform": "foo",
        "data": {"device_type": "ACCESS"},
        "connection_options": {"napalm": {"extras": {"optional_args": {"transport": "ssh"}}}},
    }
    for name, port in (("r1", 1001), ("r2", 1002), ("r3", None)):
        lab.hosts[name] = {"groups": ["foo"]} | ({"port": port} if port else {})
    lab.write()
    seen = {}
    original = installed.ForeignDriver.open

    def note(self: object) -> None:
        seen[self.hostname] = dict(self.optional_args)  # type: ignore[attr-defined]
        original(self)

    installed.ForeignDriver.open = note
    sync(lab, dry_run=True)
    assert {host: args.get("port") for host, args in seen.items()} == {"r1": 1001, "r2": 1002, "r3": None}
    assert {args["transport"] for args in seen.values()} == {"ssh"}


def test_a_device_that_locks_us_out_is_taken_back(lab: Lab, foreign: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "PROBE_SECONDS", 0.0)
    installed = foreign.install("napalm_foo")
    add(lab)
    installed.devices["r1"] = {"running": "", "calls": [], "open": 0, "pending": None, "locks_us_out": True}
    assert reason(sync(lab), "r1") == "not reachable after the commit: no route to host; rolled back"
    found = installed.devices["r1"]
    assert (found["running"], found["pending"]) == ("", None)
    assert "rollback" in found["calls"]
    assert "confirm" not in found["calls"]


def test_a_device_that_is_locked_by_our_first_connection_was_reached(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install(
        "napalm_foo",
        """
first_open = ForeignDriver.open
def open(self):
    if self.device["open"]:
        raise LockError("configuration database locked by admin")
    first_open(self)
ForeignDriver.open = open
""",
    )
    add(lab)
    assert devices_of(sync(lab))["r1"]["failed"] is False
    assert "confirm" in installed.devices["r1"]["calls"]


def test_a_driver_that_ignores_the_timer_is_not_confirmed(lab: Lab, foreign: Foreign) -> None:
    foreign.install("napalm_foo", "ForeignDriver.has_pending_commit = lambda self: False\n")
    add(lab)
    assert reason(sync(lab), "r1").startswith("no commit is pending on the device")


def test_an_unconfirmed_commit_of_somebody_else_is_left_alone(lab: Lab, foreign: Foreign) -> None:
    installed = foreign.install("napalm_foo")
    add(lab)
    installed.devices["r1"] = {"running": "", "calls": [], "open": 0, "pending": "theirs"}
    for mode in (0, 1, 2):
        assert "waits for its confirmation" in reason(sync(lab, confirm_mode=mode), "r1")
    assert installed.devices["r1"]["pending"] == "theirs"
