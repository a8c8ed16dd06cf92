"""One sync in several processes at the same time, each a thread here; on PostgreSQL."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cnaasjobs.events import Event
from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.tasks import sync_devices
from jobs.actions import JobAction
from jobs.end_reasons import EndReason
from jobs.lifecycle import transitions
from jobs.models import JobDevice, Participant
from jobs.states import Status
from jobs.testing import perform_job
from tests.devices.lab import Lab, devices_of, reason
from tests.devices.test_stopping import pending
from tests.fleet.parts import Crew
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")

HOSTS = [f"sw{number}" for number in range(8)]
UNKNOWN = "worker first was lost in commit: its state is not known"
REVERTS = r"worker first was lost in commit: the device reverts by itself by (\d\d:\d\d) UTC"


@pytest.fixture(autouse=True)
def hosts(lab: Lab, postgresql: object, rabbitmq: object) -> None:
    """Two devices at a time in each process."""
    lab.workers = 2
    lab.add(*HOSTS)


class Gate:
    """Where devices wait in one verb of their driver until the test lets them go on."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.open = threading.Event()


def gated(monkeypatch: pytest.MonkeyPatch, verb: str) -> Gate:
    gate, original = Gate(), getattr(LabDriver, verb)

    def patched(self: LabDriver, *args: Any, **kwargs: Any) -> Any:
        gate.arrived.append(self.hostname)
        assert gate.open.wait(30)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(LabDriver, verb, patched)
    return gate


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Before each commit."""
    gate = gated(monkeypatch, "commit_config")
    yield gate
    gate.open.set()


def two(gate: Gate, **options: Any) -> Crew:
    """A live sync in two processes, each with two devices in hand at the gate."""
    crew = Crew(sync_devices.schedule(all=True, dry_run=False, **options))
    crew.first()
    wait_until(lambda: len(gate.arrived) == 2)
    crew.helper("second")
    wait_until(lambda: len(gate.arrived) == 4)
    return crew


def test_a_process_with_another_secret_does_not_help(
    gate: Gate, heard: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(sync_devices.schedule(all=True, dry_run=False))
    crew.first()
    wait_until(lambda: len(gate.arrived) == 2)
    monkeypatch.setenv("TEMPLATE_SECRET_X", "another-value")
    crew.helper("second")
    wait_until(lambda: any(event.action is JobAction.DIFFERS for event in heard))
    gate.open.set()
    assert workers(crew.wait().pk).keys() == {"first"}


def workers(job_id: int) -> Counter[str | None]:
    return Counter(JobDevice.objects.filter(job_id=job_id).values_list("worker", flat=True))


@pytest.mark.parametrize("mode", [0, 1])
def test_each_device_is_committed_once_and_known_whichever_process_had_it(lab: Lab, gate: Gate, mode: int) -> None:
    crew = two(gate, confirm_mode=mode)
    gate.open.set()
    job = crew.wait()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    assert sorted(gate.arrived) == HOSTS
    assert workers(job.pk).keys() == {"first", "second"}
    assert list(devices_of(job)) == HOSTS
    assert not any(device["failed"] for device in devices_of(job).values())
    assert all(lab.running(host) == f"hostname {host}\nmotd hello\n" for host in HOSTS)
    known = DeviceState.objects.filter(uncertain_job_id=None, job_id=job.pk)
    assert sorted(known.values_list("host", flat=True)) == HOSTS  # also of the process that left before the end


@pytest.mark.parametrize(
    ("mode", "said"), [(0, "worker first was lost in commit: its state is not known"), (1, REVERTS)]
)
def test_a_process_that_is_lost_says_what_is_known_of_the_devices_it_had(
    lab: Lab, gate: Gate, mode: int, said: str
) -> None:
    perform_job_known(gate)
    for host in HOSTS:
        lab.change(host, motd="new")
    began = datetime.now(UTC)
    crew = two(gate, confirm_mode=mode)
    # The timer of five minutes, and the minute in which the commit may still be on its way.
    latest = {f"{time + timedelta(minutes=6):%H:%M}" for time in (began, datetime.now(UTC))}
    lost = gate.arrived[:2]
    token = Participant.objects.get(worker="first").token
    assert transitions.lose(crew.job.pk, token, type=EndReason.WORKER_LOST, message="its process is gone")
    gate.open.set()
    job = crew.wait()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    for host in HOSTS:
        row = JobDevice.objects.get(job=job, host=host)
        assert row.failed is (host in lost)
        if row.failed:
            assert (found := re.fullmatch(said, row.reason or "")) is not None
            assert set(found.groups()) <= latest
            assert reason(job, host) == row.reason
    uncertain = DeviceState.objects.filter(uncertain_job_id=job.pk).values_list("host", flat=True)
    assert sorted(uncertain) == sorted(lost)


def test_a_dry_run_begins_the_devices_of_a_lost_process_again_also_in_mode_2(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or none is for changes."""
    gate = gated(monkeypatch, "compare_config")
    crew = Crew(sync_devices.schedule(all=True, confirm_mode=2))
    crew.first()
    wait_until(lambda: len(gate.arrived) == 2)
    crew.helper("second")
    wait_until(lambda: len(gate.arrived) == 4)
    token = Participant.objects.get(worker="first").token
    assert transitions.lose(crew.job.pk, token, type=EndReason.WORKER_LOST, message="its process is gone")
    gate.open.set()
    job = crew.wait()
    assert (job.status, workers(job.pk)) == (Status.FINISHED, {"second": 8})
    assert not any(device["failed"] for device in devices_of(job).values())


def perform_job_known(gate: Gate) -> None:
    """Devices that were committed before."""
    gate.open.set()
    perform_job(sync_devices, all=True, dry_run=False, confirm_mode=0)
    gate.open.clear()
    gate.arrived.clear()


@pytest.mark.parametrize(
    ("fail", "said", "became", "had"),
    [
        ("load", "configuration not accepted: % Invalid input detected", "not committed", {"first": 6, "second": 3}),
        ("commit", "commit failed: Commit refused by the device", "", {"first": 5, "second": 4}),
    ],
)
def test_all_or_none_holds_across_all_processes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, fail: str, said: str, became: str, had: dict[str, int]
) -> None:
    lab.workers, lab.hosts = 5, {}
    lab.add("bad", fail=fail)
    lab.add(*HOSTS)
    prepared = gated(monkeypatch, "compare_config")
    crew = Crew(sync_devices.schedule(all=True, dry_run=False, confirm_mode=2))
    crew.first()
    wait_until(lambda: len(prepared.arrived) == 5)
    crew.helper("second")
    wait_until(lambda: set(prepared.arrived) >= set(HOSTS))
    prepared.open.set()
    job = crew.wait()
    assert job.status == Status.FINISHED
    assert workers(job.pk) == had
    assert reason(job, "bad") == said
    for host in HOSTS:
        assert reason(job, host).startswith(became)
        assert reason(job, host).endswith("because of bad: confirm_mode 2 is all devices or none")
        assert lab.running(host) is None
    assert pending(lab) == []


def test_all_or_none_confirms_all_in_all_processes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.workers = 4
    lab.write()
    prepared = gated(monkeypatch, "compare_config")
    crew = Crew(sync_devices.schedule(all=True, dry_run=False, confirm_mode=2))
    crew.first()
    wait_until(lambda: len(prepared.arrived) == 4)
    crew.helper("second")
    wait_until(lambda: len(prepared.arrived) == 8)
    prepared.open.set()
    job = crew.wait()
    assert (job.status, workers(job.pk)) == (Status.FINISHED, {"first": 4, "second": 4})
    assert not any(device["failed"] for device in devices_of(job).values())
    assert all(lab.running(host) is not None for host in HOSTS)
    known = DeviceState.objects.filter(uncertain_job_id=None, job_id=job.pk)
    assert sorted(known.values_list("host", flat=True)) == HOSTS
