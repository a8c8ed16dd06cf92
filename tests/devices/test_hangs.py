"""A device that hangs fails with the step it hung in, and delays no other; its thread does nothing more."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from devices.models import DeviceState
from devices.sync import device
from devices.tasks import sync_devices
from jobs.models import Job
from jobs.states import Status
from jobs.testing import perform_job
from tests.devices.foreign import Foreign
from tests.devices.lab import Lab, devices_of, ended, reason
from tests.devices.test_pending import UNTIL
from tests.services.processes import Platform
from tests.waiting import wait_until

HANGS = """
import threading

ForeignDriver.__del__ = lambda self: None  # it closes once more, outside of any job
gate = threading.Event()
came_back = threading.Event()
ForeignDriver._get_pending_commits = lambda self: {"ours": 1} if self.device["pending"] else {}

def hanging(verb, pending=False):
    original = getattr(ForeignDriver, verb)

    def patched(self, *args, **kwargs):
        if self.hostname == "r1" and (self.device["pending"] or not pending):
            gate.wait()
            came_back.set()
        return original(self, *args, **kwargs)

    setattr(ForeignDriver, verb, patched)

"""
STEPS = {
    "open": "cannot connect",
    "has_pending_commit": "cannot ask for pending commits",
    "load_replace_candidate": "configuration not accepted",
    "compare_config": "cannot compare configurations",
    "commit_config": "commit failed",
    "_get_pending_commits": "cannot ask which commit is pending",
    "open, pending": "not reachable after the commit",
    "close": "connection of the reachability check not closed",
    "confirm_commit": "confirm failed",
    "get_config": "cannot read the running configuration",
}
WAITS = f"; if it is not confirmed, it {UNTIL}"
UNKNOWN = "; its state is not known"
MADE = "; if it was made, it reverts by itself"
BECAME = {"commit_config": MADE, "_get_pending_commits": MADE, "close": WAITS, "confirm_commit": WAITS}
BECAME |= {"open, pending": WAITS, "get_config": "; it was committed"}


@pytest.fixture(autouse=True)
def impatient(settings: Settings) -> None:
    settings.CNAASJOBS_DEVICE_SECONDS = 1.0


@pytest.fixture
def module(lab: Lab, foreign: Foreign) -> Iterator[Any]:
    """A driver of which r1 hangs in the verbs that the test says; r2 and r3 are well."""
    lab.workers = 1
    lab.template("hostname {{ host }}\n", platform="foo")
    lab.add("r1", "r2", "r3", platform="foo")
    module = foreign.install("napalm_foo", HANGS)
    yield module
    module.gate.set()


def sync(*, mode: int = 1, dry_run: bool = False, **options: Any) -> Job:
    return perform_job(sync_devices, all=True, dry_run=dry_run, confirm_mode=mode, **options)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("verb", "step"), STEPS.items())
def test_it_fails_with_the_step_it_hung_in(module: Any, verb: str, step: str) -> None:
    module.hanging(*verb.split(", "))
    job = sync()
    assert job.status == Status.FINISHED
    said = re.escape(f"{step}: no answer within 1 seconds (CNAASJOBS_DEVICE_SECONDS)")
    assert re.fullmatch(said + BECAME.get(verb, ""), reason(job, "r1"))
    devices = devices_of(job)
    assert [devices[host]["failed"] for host in ("r1", "r2", "r3")] == [True, False, False]
    assert sorted(job.finished_devices or "") == sorted('["r1", "r2", "r3"]')
    assert module.devices["r2"]["running"] == "hostname r2\n"
    known = DeviceState.objects.filter(uncertain_job_id=None)
    assert set(known.values_list("host", flat=True)) == {"r2", "r3"}


@pytest.mark.django_db(transaction=True)
def test_its_thread_does_nothing_more_when_it_comes_back(module: Any) -> None:
    module.hanging("load_replace_candidate")
    threads = set(threading.enumerate())
    sync()
    before = list(module.devices["r1"]["calls"])
    (left,) = [thread for thread in set(threading.enumerate()) - threads if thread.name.startswith("given-up")]
    module.gate.set()
    assert module.came_back.wait(10)
    wait_until(lambda: module.devices["r1"]["calls"] == [*before, "load"])
    assert left.is_alive()
    left.join(0.3)
    assert left.is_alive()  # it waits for its process to end
    assert module.devices["r1"]["calls"] == [*before, "load"]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_claimed_of_a_device_that_hung_in_a_commit_without_a_timer(module: Any) -> None:
    module.hanging("commit_config")
    assert reason(sync(mode=0), "r1").endswith(f"(CNAASJOBS_DEVICE_SECONDS){UNKNOWN}")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("mode", "became"), [(0, UNKNOWN), (1, MADE)])
@pytest.mark.parametrize("then", ["raises", "hangs", "is read"])
def test_nothing_is_claimed_of_a_device_whose_commit_raises_unless_it_can_be_read(
    module: Any, lab: Lab, mode: int, became: str, then: str
) -> None:
    def raises(driver: Any, *_: Any, **__: Any) -> None:
        if then == "raises":
            module.ForeignDriver.get_config = raises
        elif then == "hangs":
            module.hanging("get_config")
        raise module.ConnectionClosedException("connection closed")

    sync()
    lab.template("hostname {{ host }}-new\n", platform="foo")
    module.ForeignDriver.commit_config = raises
    hangs = "cannot read the running configuration: no answer within 1 seconds (CNAASJOBS_DEVICE_SECONDS)"
    said = {
        "raises": f"commit failed: connection closed{became}",
        "hangs": f"{hangs}{became}",
        "is read": "commit failed: connection closed",
    }
    assert reason(sync(mode=mode), "r1") == said[then]


@pytest.mark.django_db(transaction=True)
def test_one_that_hangs_after_it_was_rolled_back_says_why_it_was_and_that_it_was(module: Any, lab: Lab) -> None:
    def hangs_from_now_on(driver: Any) -> None:
        rollback(driver)
        module.hanging("get_config")

    sync()
    lab.template("hostname {{ host }}-new\n", platform="foo")
    rollback, module.ForeignDriver.rollback = module.ForeignDriver.rollback, hangs_from_now_on
    module.devices["r1"]["locks_us_out"] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "PROBE_SECONDS", 0.0)
        said = reason(sync(), "r1")
    hangs = "cannot read the running configuration: no answer within 1 seconds (CNAASJOBS_DEVICE_SECONDS)"
    assert said == f"not reachable after the commit: no route to host; {hangs}; rolled back"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["compare_config", "commit_config"])
def test_with_all_or_none_one_that_hangs_keeps_the_others_unchanged(module: Any, verb: str) -> None:
    module.hanging(verb)
    job = sync(mode=2)
    assert job.status == Status.FINISHED
    assert [device["failed"] for device in devices_of(job).values()] == [True, True, True]
    assert "no answer within 1 seconds" in reason(job, "r1")
    for host in ("r2", "r3"):
        assert (module.devices[host]["running"], module.devices[host]["pending"]) == ("", None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["close", "discard_config"])
def test_one_that_hangs_when_all_is_done_has_its_result(module: Any, verb: str) -> None:
    module.hanging(verb)
    job = sync(mode=0, dry_run=verb == "discard_config")
    assert devices_of(job)["r2"]["failed"] is False
    if verb == "close":
        assert devices_of(job)["r1"]["failed"] is False
    else:
        said = "candidate configuration not discarded: no answer within 1 seconds (CNAASJOBS_DEVICE_SECONDS)"
        assert reason(job, "r1") == said
    assert job.status == Status.FINISHED


@pytest.mark.django_db(transaction=True)
def test_a_device_that_is_slow_in_each_step_does_not_hang(settings: Settings, lab: Lab) -> None:
    """Each step has its time anew."""
    settings.CNAASJOBS_DEVICE_SECONDS = 2.0
    lab.add("sw1", "sw2", delay_seconds=1.0)
    assert not any(device["failed"] for device in devices_of(sync()).values())


# --- in a worker ----------------------------------------------------------------------------------------------------


def test_a_process_with_a_thread_that_hangs_is_replaced(site: Platform, lab: Lab) -> None:
    lab.workers = 2
    lab.add("stuck", delay_seconds=3600)
    lab.add("sw1", "sw2")
    worker = site.worker(concurrency=1, env={"CNAASJOBS_DEVICE_SECONDS": "1"})
    (child,) = worker.children()
    job = ended(sync_devices.schedule(all=True, dry_run=False).pk)
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    assert "cannot connect: no answer within 1 seconds" in reason(job, "stuck")
    assert lab.running("sw2") is not None
    wait_until(lambda: not child.is_running(), timeout=10)
    again = ended(sync_devices.schedule(hostnames=["sw1"]).pk)
    assert again.status == Status.FINISHED
    job.refresh_from_db()
    assert job.status == Status.FINISHED
    assert "Traceback" not in worker.output()


def test_a_sync_has_a_time_limit(site: Platform, lab: Lab) -> None:
    lab.workers = 2
    lab.add(*(f"sw{number}" for number in range(200)), delay_seconds=0.2)
    site.worker(concurrency=1, env={"CNAASJOBS_SYNC_TIME_LIMIT_SECONDS": "1"})
    job = ended(sync_devices.schedule(all=True).pk)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "TimeLimitExceeded"), site.processes[0].output()
