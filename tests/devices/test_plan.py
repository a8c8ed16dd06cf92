"""A live run with a plan changes exactly what its dry run showed."""

import json
from typing import Any

import pytest
from pytest_django import Settings

from cnaasjobs.events import Event
from devices.actions import DeviceAction
from devices.lab.driver import LabDriver
from devices.sync import plan
from devices.sync.known import Fingerprint
from devices.sync.plan import Shown
from devices.tasks import sync_devices
from jobs.models import Job, JobDevice
from jobs.states import Status
from jobs.testing import exception_of, perform, perform_job
from tests.devices.foreign import Foreign
from tests.devices.lab import Lab, devices_of, reason

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.add("sw1", "sw2")


def show(**options: Any) -> Job:
    job = perform_job(sync_devices, all=True, **options)
    assert job.status == Status.FINISHED
    return job


def plan_of(shown: Job, **options: Any) -> Job:
    """Scheduled, and not run yet."""
    hosts = list(JobDevice.objects.filter(job=shown).order_by("place").values_list("host", flat=True))
    arguments = {"hostnames": hosts, "plan": shown.pk, "dry_run": False, "confirm_mode": 0, **options}
    return sync_devices.schedule(**arguments)


def carry_out(shown: Job, **options: Any) -> Job:
    job = perform(plan_of(shown, **options))
    assert job.status == Status.FINISHED, exception_of(job)
    return job


def diffs(job: Job) -> dict[str, str]:
    return {host: device["job_tasks"][2]["diff"] for host, device in devices_of(job).items()}


def something_else(shown: Job) -> str:
    return f"the change would differ from what job {shown.pk} showed"


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_what_was_shown_is_changed(lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setattr(plan, "_MANY", 1)  # each is read by a statement of its own
    shown = show()
    done = carry_out(shown, confirm_mode=mode)
    assert [device["failed"] for device in devices_of(done).values()] == [False, False]
    assert diffs(done) == diffs(shown)
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"


@pytest.mark.parametrize("options", [{}, {"force": True}, {"resync": True}])
@pytest.mark.parametrize("committed", [False, True])
def test_a_device_that_was_changed_outside_is_not_touched(lab: Lab, committed: bool, options: dict[str, bool]) -> None:
    if committed:
        perform_job(sync_devices, all=True, dry_run=False, confirm_mode=0)
        for host in ("sw1", "sw2"):
            lab.change(host, motd="new")
    shown = show()
    lab.set_running("sw1", "hostname intruder\n")
    done = carry_out(shown, **options)
    assert reason(done, "sw1") == something_else(shown)
    assert "intruder" in diffs(done)["sw1"]
    assert lab.running("sw1") == "hostname intruder\n"
    assert devices_of(done)["sw2"]["failed"] is False


def test_a_template_that_was_changed_changes_nothing(lab: Lab) -> None:
    shown = show()
    lab.template("hostname {{ host }}\nmotd another\n")
    done = carry_out(shown)
    assert {reason(done, host) for host in ("sw1", "sw2")} == {something_else(shown)}
    assert (lab.running("sw1"), lab.running("sw2")) == (None, None)


def test_what_the_inventory_says_of_one_device_is_that_devices_alone(lab: Lab) -> None:
    shown = show()
    lab.change("sw2", motd="another")
    done = carry_out(shown)
    assert devices_of(done)["sw1"]["failed"] is False
    assert reason(done, "sw2") == something_else(shown)


def test_a_secret_that_was_rotated_is_something_else_though_the_diff_looks_the_same(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_KEY", "the-former-value")
    lab.template("hostname {{ host }}\nkey {{ TEMPLATE_SECRET_KEY }}\n")
    shown = show()
    monkeypatch.setenv("TEMPLATE_SECRET_KEY", "the-present-value")
    done = carry_out(shown)
    assert diffs(done) == diffs(shown)
    assert reason(done, "sw1") == something_else(shown)
    assert lab.running("sw1") is None
    assert not JobDevice.objects.filter(memo__contains="value").exists()


def test_the_same_plan_twice_changes_nothing_more(lab: Lab) -> None:
    lab.set_running("sw2", "hostname sw2\nmotd hello\n")  # the dry run shows no change of it
    shown = show()
    carry_out(shown)
    again = carry_out(shown)
    assert reason(again, "sw1") == something_else(shown)
    assert devices_of(again)["sw2"]["failed"] is False


def test_a_plan_that_another_run_carried_out_is_something_else_though_the_device_is_in_sync(lab: Lab) -> None:
    shown = show()
    perform_job(sync_devices, all=True, dry_run=False, confirm_mode=0)
    assert reason(carry_out(shown), "sw1") == something_else(shown)


def test_a_device_that_failed_in_the_dry_run_is_not_touched(lab: Lab) -> None:
    lab.options("sw1", fail="open")
    shown = show()
    lab.options("sw1")
    assert reason(carry_out(shown), "sw1") == f"{something_else(shown)}, which has no diff for this device"
    assert (lab.running("sw1"), lab.running("sw2")) == (None, "hostname sw2\nmotd hello\n")


def test_one_device_that_would_be_changed_otherwise_holds_up_all_or_none(lab: Lab) -> None:
    shown = show()
    lab.set_running("sw1", "hostname intruder\n")
    done = carry_out(shown, confirm_mode=2)
    assert reason(done, "sw1") == something_else(shown)
    assert reason(done, "sw2").startswith("not committed because of sw1")
    assert lab.running("sw2") is None


def test_a_key_that_was_rotated_recognises_what_was_shown_as_long_as_it_is_among_the_fallbacks(
    settings: Settings,
) -> None:
    shown = show()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert devices_of(carry_out(shown))["sw1"]["failed"] is False
    settings.SECRET_KEY_FALLBACKS = []
    shown_anew = show()
    assert reason(carry_out(shown), "sw1") == something_else(shown)
    assert devices_of(carry_out(shown_anew))["sw1"]["failed"] is False


@pytest.mark.parametrize("running", ["", "00" + "c" * 62])
def test_what_is_kept_of_a_change_is_what_it_was_also_where_a_hash_begins_with_zeros(running: str) -> None:
    fingerprint = Fingerprint(running_hash=running, unstable=(3, 7))
    shown = Shown(rendered_hash="0a" + "b" * 62, running=fingerprint, diff_hash="00" + "d" * 62)
    assert Shown.from_memo(json.loads(json.dumps(shown.as_memo()))) == shown


# --- drivers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def routers(lab: Lab) -> None:
    lab.hosts.clear()
    lab.template("hostname {{ host }}\nmotd {{ motd }}\n", platform="foo")
    lab.add("r1", platform="foo")


COUNTS = "\nimport itertools\nnumbers = itertools.count()\n"
UNSTABLE_DIFF = COUNTS + 'ForeignDriver.compare_config = lambda self: f"+ {self.candidate}! {next(numbers)}"\n'
UNSTABLE_RUNNING = COUNTS + (
    "def get_config(self, **_):\n"
    "    running = self.device['running'] + f'uptime {next(numbers)}\\nline\\nline\\n'\n"
    "    return {'running': running, 'candidate': '', 'startup': ''}\n"
    "ForeignDriver.get_config = get_config\n"
)
UNRECOGNISABLE = COUNTS + (
    "ForeignDriver.get_config = lambda self, **_: {'running': 'line\\n' * next(numbers), 'startup': ''}\n"
)
NO_RUNNING = "\ndel ForeignDriver.get_config\n"


@pytest.mark.usefixtures("routers")
@pytest.mark.parametrize(
    "driver", [UNSTABLE_DIFF, UNSTABLE_RUNNING, UNSTABLE_RUNNING + UNSTABLE_DIFF, UNRECOGNISABLE, NO_RUNNING]
)
def test_a_driver_whose_answers_differ_or_that_has_none_can_carry_out_a_plan(
    lab: Lab, foreign: Foreign, driver: str
) -> None:
    installed = foreign.install("napalm_foo", driver)
    shown = show()
    assert devices_of(carry_out(shown))["r1"]["failed"] is False
    assert installed.devices["r1"]["running"] == "hostname r1\nmotd hello\n"
    lab.change("r1", motd="new")  # from now on it is known, and which of its lines differ by themselves
    assert devices_of(carry_out(show()))["r1"]["failed"] is False


@pytest.mark.usefixtures("routers")
@pytest.mark.parametrize("driver", ["", UNSTABLE_DIFF, UNSTABLE_RUNNING])
def test_a_change_from_outside_counts_with_such_drivers_all_the_same(foreign: Foreign, driver: str) -> None:
    installed = foreign.install("napalm_foo", driver)
    shown = show()
    installed.devices["r1"]["running"] = "hostname intruder\n"
    assert reason(carry_out(shown), "r1") == something_else(shown)
    assert installed.devices["r1"]["running"] == "hostname intruder\n"


@pytest.mark.usefixtures("routers")
def test_where_only_the_diff_is_left_to_compare_another_one_is_something_else(foreign: Foreign) -> None:
    installed = foreign.install("napalm_foo", NO_RUNNING + UNSTABLE_DIFF)
    shown = show()
    assert reason(carry_out(shown), "r1") == something_else(shown)
    assert installed.devices["r1"]["running"] == ""


def test_a_device_that_stopped_showing_what_it_runs_is_compared_by_its_diff(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, heard: list[Event]
) -> None:
    shown = show()

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("not now")

    monkeypatch.setattr(LabDriver, "get_config", refuse)
    assert devices_of(carry_out(shown))["sw1"]["failed"] is False
    lab.set_running("sw1", "hostname intruder\n")
    heard.clear()
    assert reason(carry_out(shown, force=True), "sw1") == something_else(shown)
    unread = [event.fields for event in heard if event.action is DeviceAction.CONFIG_UNREAD]
    said = [fields["reason"] for fields in unread if fields["host"] == "sw1"]
    assert said == ["cannot read the running configuration: not now"]


# --- invalid plans --------------------------------------------------------------------------------------------------


def test_a_dry_run_that_is_gone_when_the_live_run_starts_ends_it(lab: Lab) -> None:
    shown = show()
    job = plan_of(shown)
    shown.delete()
    perform(job)
    stored = exception_of(job)
    assert stored is not None
    assert (stored["type"], "no longer exists" in stored["message"]) == ("PlanGone", True)
    assert lab.running("sw1") is None


def test_a_plan_of_other_devices_ends_it(lab: Lab) -> None:
    lab.add("sw3")
    shown = perform_job(sync_devices, hostnames=["sw1"])
    job = perform(plan_of(shown, hostnames=["sw1", "sw3"]))
    stored = exception_of(job)
    assert stored is not None
    assert (stored["type"], "did not show sw3" in stored["message"]) == ("PlanGone", True)
    assert lab.running("sw1") is None
