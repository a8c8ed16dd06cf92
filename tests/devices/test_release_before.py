"""Processes of an earlier release alongside new ones during an upgrade, with the new database and the old queue."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from pytest_django import Settings

from devices.tasks import sync_devices
from jobs.lifecycle import approval, transitions
from jobs.models import Job, JobDevice, Participant
from jobs.states import Status
from locks.models import Lock
from tests.devices.beside import Site
from tests.devices.conftest import OLD
from tests.devices.lab import Lab, devices_of, ended
from tests.factory import NOON, device_row
from tests.services.processes import ROOT, Platform
from tests.waiting import wait_until


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The source of a release in which devices were no rows, jobs had one process and messages one argument."""
    archive = subprocess.run(["git", "archive", OLD], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    root = tmp_path / "old"
    root.mkdir()
    subprocess.run(["tar", "-x", "-C", root], input=archive, check=True)
    return root


@pytest.fixture
def site(lab: Lab, platform: Platform, settings: Settings, tmp_path: Path) -> Site:
    return Site(lab, platform, settings, tmp_path)


@pytest.mark.long
@pytest.mark.needs("postgresql", "rabbitmq")
def test_old_processes_do_their_own_jobs_refuse_to_help_and_start_nothing_unapproved(
    postgresql: object, rabbitmq: object, site: Site, lab: Lab, old: Path, settings: Settings
) -> None:
    lab.workers = 2
    names = [f"sw{number}" for number in range(12)]
    lab.add(*names, platform="notes")
    site.go.touch()
    before = site.of(old, "old")
    beat = before.beat(env={"CNAASJOBS_RETENTION_FINISHED_DAYS": "30"})
    alone = before.worker("old", concurrency=1)  # the queue is as this one declares it

    Lock.objects.create(name="devices")  # its first holder would have
    settings.CNAASJOBS_APPROVAL_SCORE = 20.0
    first = sync_devices.schedule(hostnames=names[:4], dry_run=False)
    wait_until(lambda: "job_unapproved_only_parked" in beat.output(), timeout=60, message=beat.output)
    assert approval.approve(first.pk, by="bob")
    first = ended(first.pk)
    assert (first.status, (first.worker or "").partition("@")[0]) == (Status.FINISHED, "old")
    assert list(devices_of(first)) == names[:4]
    assert not JobDevice.objects.filter(job=first).exists()
    alone.stop()

    device_row(first, "sw1")  # of a later table, as its approval and its steps are
    Job.objects.filter(pk=first.pk).update(finish_time=NOON)
    wait_until(lambda: not Job.objects.filter(pk=first.pk).exists(), timeout=60, message=beat.output)

    site.go.unlink()
    site.platform.beat()
    for name in ("new1", "new2"):
        site.platform.worker(name, concurrency=1)
    before.web()
    second = sync_devices.schedule(hostnames=names[:4], dry_run=False)
    assert before.request("PUT", f"/api/v1.0/job/{second.pk}", {"action": "ABORT", "abort_reason": "no"})[0] == 500
    assert Job.objects.filter(pk=second.pk, unapproved=True, status=Status.SCHEDULED).exists()
    assert transitions.abort(second.pk, reason="no", by="bob").status == Status.EXCEPTION
    status, answer, _ = before.post("/api/v1.0/device_syncto", {"all": True, "dry_run": False})
    assert status == 200, answer
    job_id: int = answer["job_id"]
    wait_until(lambda: Participant.objects.filter(job=job_id).count() == 2, timeout=60)
    beside = before.worker("old", concurrency=1)  # it is idle, so it is asked
    wait_until(lambda: "it is RUNNING" in beside.output(), timeout=60, message=beside.output)
    assert site.carried_out_by(job_id) == {"new1", "new2"}
    assert site.commits() == Counter(names)
    assert beside.running
