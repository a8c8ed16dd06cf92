"""What is known of each device outlives a job that ended badly: the reports so far are its result."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from nornir.core.inventory import Host

from cnaasjobs.conf import conf
from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.rendering import RenderedAhead
from devices.sync.campaign import Campaign
from devices.tasks import sync_devices
from jobs.models import Fleet, Job
from jobs.task import Done
from jobs.testing import exception_of, perform, result_of
from tests.devices.lab import Lab
from tests.devices.test_pending import unreachable
from tests.devices.test_stopping import HOSTS, abort, clear, contexts, elsewhere, job_of, pending, when

pytestmark = pytest.mark.django_db(transaction=True)

WHY = "enough (aborted by alice)"
LOST = "lock devices was cleared or taken over"


def said(job: Job) -> dict[str, str | None]:
    """What the result says of each device that it names."""
    devices: dict[str, Any] = result_of(job)["devices"]
    for name, device in devices.items():
        tasks = device["job_tasks"]
        assert (tasks[1]["result"], tasks[2]["diff"] != "") == (f"hostname {name}\nmotd hello\n", True)
        assert [task["failed"] for task in tasks] == [device["failed"], False, device["failed"]]
    return {name: device["job_tasks"][0]["result"] for name, device in devices.items()}


def finished(job: Job) -> list[str]:
    return sorted(json.loads(job.finished_devices or ""))


@pytest.mark.parametrize("mode", [0, 1])
def test_an_aborted_job_keeps_what_was_over(lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    job = job_of(lab, confirm_mode=mode)
    when(monkeypatch, "compare_config", "sw3", abort(job))
    perform(job)
    assert job.exception_type == "JobAborted"
    assert said(job) == {"sw1": None, "sw2": None, "sw3": f"not committed: {WHY}"}
    assert finished(job) == ["sw1", "sw2"]


def test_a_device_that_was_committed_without_a_timer_when_its_job_was_aborted_is_done(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(lab, confirm_mode=0)
    when(monkeypatch, "commit_config", "sw2", abort(job))
    perform(job)
    assert job.exception_type == "JobAborted"
    assert (said(job), finished(job)) == ({"sw1": None, "sw2": None}, ["sw1", "sw2"])


def test_a_device_whose_job_is_aborted_while_it_is_rendered_is_not_called_done(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, original = job_of(lab), RenderedAhead.render

    def render(self: RenderedAhead, host: Host, wanted: Callable[[], None]) -> str:
        if host.name == "sw3":
            elsewhere(abort(job))
            wanted()
        return original(self, host, wanted)

    monkeypatch.setattr(RenderedAhead, "render", render)
    perform(job)
    tasks = result_of(job)["devices"]["sw3"]["job_tasks"]
    assert [(task["failed"], task["result"]) for task in tasks] == [(True, f"not committed: {WHY}")] * 2


@pytest.mark.parametrize(
    ("cut_off", "became"),
    [
        ([], f"committed, and rolled back: {WHY}"),
        (["sw2"], "not reachable after the commit: no route to host; rolled back"),
    ],
)
def test_an_aborted_job_says_that_the_device_in_hand_was_rolled_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, cut_off: list[str], became: str
) -> None:
    job = job_of(lab)
    unreachable(monkeypatch, *cut_off)
    when(monkeypatch, "commit_config", "sw2", abort(job))
    perform(job)
    assert said(job) == {"sw1": None, "sw2": became}
    assert finished(job) == ["sw1"]


@pytest.mark.parametrize(
    ("verb", "host", "became"),
    [
        ("compare_config", "sw2", {"sw1": "not committed", "sw2": "not committed"}),
        (
            "commit_config",
            "sw2",
            {"sw1": "committed, and rolled back", "sw2": "committed, and rolled back"}
            | dict.fromkeys(["sw3", "sw4", "sw5"], "not committed"),
        ),
        ("commit_config", "sw5", dict.fromkeys(["sw1", "sw2", "sw3", "sw4", "sw5"], "committed, and rolled back")),
    ],
)
def test_an_aborted_all_or_none_finished_no_device_that_it_took_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, verb: str, host: str, became: dict[str, str]
) -> None:
    job = job_of(lab, confirm_mode=2)
    when(monkeypatch, verb, host, abort(job))
    perform(job)
    assert job.exception_type == "JobAborted"
    assert said(job) == {name: f"{what}: {WHY}" for name, what in became.items()}
    assert (finished(job), pending(lab)) == ([], [])


def test_an_all_or_none_aborted_while_it_confirms_finished_them_all(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(lab, confirm_mode=2)
    when(monkeypatch, "confirm_commit", "sw2", abort(job))
    perform(job)
    assert set(said(job).values()) == {None}
    assert finished(job) == ["sw1", "sw2", "sw3", "sw4", "sw5"]


@pytest.mark.parametrize("mode", [1, 2])
def test_a_job_that_lost_its_lock_says_which_devices_it_left_to_their_timers(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    job = job_of(lab, confirm_mode=mode)
    when(monkeypatch, "confirm_commit", "sw1", clear)
    perform(job)
    assert job.exception_type == "LockLost"
    found = said(job)
    assert found.pop("sw1") is None
    assert list(found) == (["sw2", "sw3", "sw4", "sw5"] if mode == 2 else [])
    for text in found.values():
        assert re.fullmatch(rf"committed, and reverts by itself by \d\d:\d\d:\d\d UTC: {LOST}", text or "")
    assert finished(job) == ["sw1"]


@pytest.mark.parametrize("mode", [0, 1])
def test_a_lock_that_is_lost_while_a_known_device_is_marked_ends_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    perform(job_of(lab, confirm_mode=mode))
    for name in HOSTS:
        lab.change(name, motd="new")
    job = sync_devices.schedule(all=True, dry_run=False, confirm_mode=mode)
    when(monkeypatch, "compare_config", "sw2", clear)
    perform(job)
    assert (job.exception_type, finished(job)) == ("LockLost", ["sw1"])
    reports = {name: report["job_tasks"][0]["result"] for name, report in result_of(job)["devices"].items()}
    assert reports == {"sw1": None, "sw2": f"not committed: {LOST}"}
    # Another job may have found out since what the device runs.
    assert not DeviceState.objects.filter(host="sw2", uncertain_job_id=job.pk).exists()


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_a_job_whose_time_is_over_keeps_what_was_known(lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    job = job_of(lab, confirm_mode=mode)
    running = contexts(monkeypatch)
    verb = ("commit_config", "confirm_commit", "compare_config")[mode]
    when(monkeypatch, verb, "sw5", lambda: running[0].soft_limit_reached())
    perform(job)
    assert job.exception_type == "TimeLimitExceeded"
    why = f"the job ran longer than its soft time limit of {conf.sync_time_limit_seconds} seconds"
    assert set(said(job).values()) == {None if mode < 2 else f"not committed: {why}"}
    assert len(said(job)) == 5


def test_a_fault_of_the_platform_itself_keeps_them_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Campaign.run

    def run(self: Campaign) -> None:
        original(self)
        assert not self.in_hand  # with 100 kB of configuration a device there is 220 kB, and there may be 10,000
        raise OSError("no more memory")

    monkeypatch.setattr(Campaign, "run", run)
    job = job_of(lab)
    perform(job)
    stored = exception_of(job)
    assert stored is not None
    assert (stored["type"], stored["message"]) == ("OSError", "no more memory")
    assert said(job) == dict.fromkeys(HOSTS)
    assert finished(job) == HOSTS


def test_a_dry_run_that_was_aborted_keeps_its_diffs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(lab, dry_run=True, confirm_mode=2)
    when(monkeypatch, "open", "sw3", abort(job))
    perform(job)
    assert said(job) == dict.fromkeys(["sw1", "sw2", "sw3"])
    assert Fleet.objects.get().repeats  # no device waits for the others, so another process may begin it again


def test_a_job_that_was_aborted_before_its_first_device_keeps_an_empty_result(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.add("sw1")
    job = sync_devices.schedule(all=True)
    original = Campaign.run

    def run(self: Campaign) -> Done:
        abort(job)()
        return original(self)

    monkeypatch.setattr(Campaign, "run", run)
    perform(job)
    assert (job.exception_type, result_of(job)) == ("JobAborted", {"devices": {}})
    assert LabDriver("sw1").get_config()["running"] == ""
