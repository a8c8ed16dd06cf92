"""A job that is told to stop: aborted, its lock cleared, its time over.

Devices that had not begun are never touched.
"""

import threading
from collections.abc import Callable

import pytest
from django.db import OperationalError, connections

from cnaasjobs.conf import conf
from cnaasjobs.events import Event
from devices.actions import DeviceAction
from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.sync import device, state
from devices.sync.campaign import Campaign
from devices.tasks import sync_devices
from jobs.errors import JobAborted
from jobs.lifecycle import transitions
from jobs.models import Job, JobDevice
from jobs.states import JobDeviceState as State
from jobs.states import Status
from jobs.task import Done, JobContext
from jobs.testing import exception_of, perform
from locks import service as locks
from tests.devices.lab import Lab
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

HOSTS = [f"sw{number}" for number in range(1, 6)]


def elsewhere(work: Callable[[], object]) -> None:
    """Do it as another process would: in a thread, on a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def when(monkeypatch: pytest.MonkeyPatch, verb: str, host: str, happens: Callable[[], object]) -> list[str]:
    """``happens`` just before the driver does ``verb`` on ``host``; returns the hosts where it was done, growing."""
    original = getattr(LabDriver, verb)
    seen: list[str] = []

    def patched(self: LabDriver, *args: object, **kwargs: object) -> object:
        if self.hostname == host and host not in seen:
            elsewhere(happens)
        seen.append(self.hostname)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(LabDriver, verb, patched)
    return seen


def contexts(monkeypatch: pytest.MonkeyPatch) -> list[JobContext]:
    """Of the syncs that run from now on."""
    found: list[JobContext] = []
    original = Campaign.run

    def run(self: Campaign) -> Done:
        found.append(self._ctx)
        return original(self)

    monkeypatch.setattr(Campaign, "run", run)
    return found


def job_of(lab: Lab, *, confirm_mode: int = 1, dry_run: bool = False) -> Job:
    lab.workers = 1
    lab.add(*HOSTS)
    return sync_devices.schedule(all=True, dry_run=dry_run, confirm_mode=confirm_mode)


def abort(job: Job) -> Callable[[], object]:
    """Of what the run had taken ahead it begins no more once it has looked again."""
    ahead = JobDevice.objects.filter(job=job, state=State.WAITING.value, participant__isnull=False)

    def stop() -> None:
        transitions.abort(job.pk, reason="enough", by="alice")
        wait_until(lambda: not ahead.exists())

    return stop


def clear() -> None:
    locks.clear("devices", who="alice", origin="test", user=None)


def pending(lab: Lab) -> list[str]:
    return sorted(file.name for file in (lab.state / "lab" / ".pending").glob("*/*"))


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_aborted_job_begins_no_further_device(lab: Lab, monkeypatch: pytest.MonkeyPatch, dry_run: bool) -> None:
    job = job_of(lab, dry_run=dry_run)
    opened = when(monkeypatch, "open", "sw2", abort(job))
    perform(job)
    stored = exception_of(job)
    assert stored is not None
    assert (job.status, stored["type"], stored["message"]) == (
        Status.EXCEPTION,
        "JobAborted",
        "enough (aborted by alice)",
    )
    assert set(opened) == {"sw1", "sw2"}
    assert (lab.running("sw2"), pending(lab)) == (None, [])


@pytest.mark.parametrize("host", ["sw1", "sw2"])
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_an_abort_before_a_commit_leaves_the_device_as_it_was(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int, host: str
) -> None:
    job = job_of(lab, confirm_mode=mode)
    committed = when(monkeypatch, "commit_config", "nobody", lambda: None)
    when(monkeypatch, "compare_config", host, abort(job))
    perform(job)
    assert job.exception_type == "JobAborted"
    assert committed == (["sw1"] if host == "sw2" and mode < 2 else [])
    assert lab.running(host) is None


def test_a_job_that_is_stopped_does_not_wait_for_a_device_that_its_commit_cut_off(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "PROBE_SECONDS", 3600.0)
    monkeypatch.setattr(device, "PROBE_PAUSE_SECONDS", 3600.0)
    lab.add("sw1")
    job = sync_devices.schedule(all=True, dry_run=False, confirm_mode=1)
    running, original = contexts(monkeypatch), LabDriver.open
    opened: list[str] = []

    def cut_off(self: LabDriver) -> None:
        opened.append(self.hostname)
        if len(opened) > 1:
            running[0].stop(JobAborted("enough"))
            raise OSError("no route to host")
        original(self)

    monkeypatch.setattr(LabDriver, "open", cut_off)
    perform(job)
    assert (job.exception_type, pending(lab), lab.running("sw1") or "") == ("JobAborted", [], "")


@pytest.mark.parametrize(("mode", "host", "before"), [(1, "sw1", []), (1, "sw3", ["sw1", "sw2"]), (2, "sw5", [])])
def test_an_abort_before_the_confirm_takes_the_commit_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int, host: str, before: list[str]
) -> None:
    job = job_of(lab, confirm_mode=mode)
    confirmed = when(monkeypatch, "confirm_commit", "nobody", lambda: None)
    when(monkeypatch, "commit_config", host, abort(job))
    perform(job)
    assert job.exception_type == "JobAborted"
    assert (confirmed, lab.running(host), pending(lab)) == (before, None, [])


def test_an_abort_after_the_first_confirm_of_all_or_none_confirms_the_others(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(lab, confirm_mode=2)
    when(monkeypatch, "confirm_commit", "sw2", abort(job))
    perform(job)
    assert job.exception_type == "JobAborted"
    assert [lab.running(host) is not None for host in HOSTS] == [True] * 5


@pytest.mark.parametrize("mode", [1, 2])
def test_a_job_that_lost_its_lock_confirms_nothing_and_leaves_the_device_to_its_timer(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    job = job_of(lab, confirm_mode=mode)
    confirmed = when(monkeypatch, "confirm_commit", "nobody", lambda: None)
    rolled_back = when(monkeypatch, "rollback", "nobody", lambda: None)
    when(monkeypatch, "commit_config", "sw1", clear)
    perform(job)
    assert job.exception_type == "LockLost"
    assert (confirmed, rolled_back, lab.running("sw1"), pending(lab)) == ([], [], None, ["sw1"])


def test_an_all_or_none_that_failed_takes_nothing_back_once_its_lock_is_gone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(lab, confirm_mode=2)
    lab.options("sw3", fail="commit")
    rolled_back = when(monkeypatch, "rollback", "nobody", lambda: None)
    when(monkeypatch, "commit_config", "sw3", clear)
    perform(job)
    assert job.exception_type == "LockLost"
    assert (rolled_back, pending(lab)) == ([], ["sw1", "sw2"])


def test_a_job_whose_time_is_over_takes_nothing_back_once_its_lock_is_gone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(lab, confirm_mode=2)
    rolled_back = when(monkeypatch, "rollback", "nobody", lambda: None)
    running = contexts(monkeypatch)

    def limit() -> None:
        running[0].soft_limit_reached()
        clear()

    when(monkeypatch, "commit_config", "sw5", limit)
    perform(job)
    assert job.exception_type == "TimeLimitExceeded"
    assert (rolled_back, pending(lab)) == ([], HOSTS)


def test_a_job_that_lost_its_lock_does_not_confirm_the_rest_of_all_or_none(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(lab, confirm_mode=2)
    confirmed = when(monkeypatch, "confirm_commit", "sw2", clear)
    perform(job)
    assert job.exception_type == "LockLost"
    assert confirmed == ["sw1", "sw2"]
    assert pending(lab) == ["sw3", "sw4", "sw5"]


def test_an_aborted_all_or_none_stops_confirming_when_its_lock_is_gone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(lab, confirm_mode=2)
    confirmed = when(monkeypatch, "confirm_commit", "sw2", abort(job))
    when(monkeypatch, "confirm_commit", "sw3", clear)
    perform(job)
    assert job.exception_type == "JobAborted"
    assert confirmed == ["sw1", "sw2", "sw3"]


def test_a_job_that_lost_its_lock_stores_no_states(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, heard: list[Event]
) -> None:
    job = job_of(lab)
    when(monkeypatch, "open", "sw3", clear)
    perform(job)
    assert job.exception_type == "LockLost"
    assert lab.running("sw2") is not None
    assert DeviceState.objects.count() == 0
    said = [event.fields["error"] for event in heard if event.action is DeviceAction.STATES_LEFT]
    assert said == ["lock devices was cleared or taken over"]


def test_an_aborted_job_stores_what_it_confirmed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(lab)
    when(monkeypatch, "open", "sw3", abort(job))
    perform(job)
    assert [state.host for state in DeviceState.objects.filter(uncertain_job_id=None)] == ["sw1", "sw2"]


@pytest.mark.parametrize("mode", [1, 2])
def test_a_soft_time_limit_waits_for_the_device_in_hand_and_begins_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    job = job_of(lab, confirm_mode=mode)
    running = contexts(monkeypatch)
    opened = when(monkeypatch, "open", "sw1", lambda: running[0].soft_limit_reached())
    perform(job)
    assert job.exception_type == "TimeLimitExceeded"
    assert (opened, lab.running("sw1"), pending(lab)) == (["sw1"], None, [])
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("device")])


def test_a_time_limit_is_heeded_while_the_database_is_away_before_a_commit(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform(job_of(lab))
    lab.change("sw1", motd="new")
    job = sync_devices.schedule(hostnames=["sw1"], dry_run=False)
    running = contexts(monkeypatch)

    def away(*_: object, **__: object) -> None:
        running[-1].soft_limit_reached()
        raise OperationalError("the database is away")

    monkeypatch.setattr(state, "fill_in", away)
    perform(job)
    assert job.exception_type == "TimeLimitExceeded"
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"


def test_a_process_that_has_not_stopped_by_then_is_killed_three_steps_of_a_device_later() -> None:
    assert sync_devices.job_soft_time_limit == conf.sync_time_limit_seconds
    assert sync_devices.job_time_limit == conf.sync_time_limit_seconds + 3 * conf.device_seconds
