"""Live syncs that real workers share in confirm_mode 0 and 1: all of them die, or each is restarted in turn."""

import signal
from pathlib import Path

import pytest

from devices.models import DeviceState
from devices.tasks import sync_devices
from jobs.models import Job, JobDevice, Participant
from jobs.states import Status
from locks.models import Lock
from tests.devices.held import HOSTS, Held, Trio
from tests.devices.lab import Lab, devices_of, ended
from tests.reliability.scale import scaled
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.needs("postgresql", "rabbitmq")]


@pytest.mark.parametrize(("mode", "said"), [(0, "its state is not known"), (1, "the device reverts by itself by")])
def test_when_all_workers_die_each_device_s_truth_outlives_them(
    mode: int, said: str, postgresql: object, rabbitmq: object, site: Platform, lab: Lab, tmp_path: Path
) -> None:
    trio = Trio(site, lab, tmp_path / "drivers", mode=mode)
    names = trio.names()
    held = sorted(min(host for host in HOSTS if names[host] == worker) for worker in trio.workers)
    trio.hold("commit", *held)
    trio.release("compare")
    over = JobDevice.objects.filter(job=trio.job, state="DONE", failed=False)
    wait_until(lambda: over.count() == len(HOSTS) - len(held), timeout=60)
    trio.until("to-commit", HOSTS)
    trio.site.kill()
    trio.release("commit", *held)
    trio.site.beat()
    job = ended(trio.job.pk)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "WorkerLost")
    assert trio.done("commit") == trio.changed() == trio.others(*held)
    assert list(devices_of(job)) == trio.others(*held)  # nobody is left who could make the report of a lost one
    assert not any(device["failed"] for device in devices_of(job).values())
    lost = dict(JobDevice.objects.filter(job=job, failed=True).values_list("host", "reason"))
    assert sorted(lost) == held
    assert all(f"was lost in commit: {said}" in (why or "") for why in lost.values())
    assert not Participant.objects.exists()
    assert not Lock.objects.filter(holder_id=job.pk).exists()


def test_a_rolling_restart_under_a_live_sync_of_five_minutes(
    postgresql: object, rabbitmq: object, site: Platform, lab: Lab, tmp_path: Path
) -> None:
    at_once, seconds, lasts = 5, 3, scaled(300)
    hosts = [f"sw{number:04}" for number in range(round(3 * at_once * lasts / seconds))]
    held = Held(site, lab, tmp_path / "drivers", hosts, at_once=at_once, delay_seconds=seconds)
    site.env["CNAASJOBS_WORKER_LOST_SECONDS"] = "30"
    site.beat()
    old = {name: site.worker(name, concurrency=1) for name in ("w1", "w2", "w3")}
    job = sync_devices.schedule(all=True, dry_run=False, confirm_mode=1)
    _wait_for_participants(*old)
    for number, (name, worker) in enumerate(old.items(), 1):
        _wait_for_over(job, len(hosts) * number // 10, timeout=30 + lasts)
        worker.signal(signal.SIGTERM)
        _wait_for_participants(without=name)
        held.hold("commit")  # no further device ends until the new one has come, however long that takes
        assert worker.wait(timeout=60) == 0
        site.worker(f"new{number}", concurrency=1)
        _wait_for_participants(f"new{number}")
        held.release("commit")
    wait_until(Job.objects.filter(pk=job.pk, finish_time__isnull=False).exists, timeout=60 + 2 * lasts)
    job.refresh_from_db()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    assert job.finish_time is not None
    assert job.start_time is not None
    assert (job.finish_time - job.start_time).total_seconds() >= lasts
    assert list(devices_of(job)) == hosts
    assert not any(device["failed"] for device in devices_of(job).values())
    for verb in ("compare", "commit", "confirm"):
        assert held.done(f"to-{verb}") == held.done(verb) == hosts
    names = JobDevice.objects.filter(job=job).values_list("worker", flat=True)
    assert {(worker or "").partition("@")[0] for worker in names} == {*old, "new1", "new2", "new3"}
    assert DeviceState.objects.filter(job_id=job.pk, uncertain_job_id=None).count() == len(hosts)


def _wait_for_over(job: Job, count: int, *, timeout: float) -> None:
    over = JobDevice.objects.filter(job=job, state="DONE")
    wait_until(lambda: over.count() >= count, timeout=timeout)


def _wait_for_participants(*names: str, without: str | None = None) -> None:
    def seen() -> bool:
        there = {worker.partition("@")[0] for worker in Participant.objects.values_list("worker", flat=True)}
        return there.issuperset(names) and without not in there

    wait_until(seen, timeout=60)
