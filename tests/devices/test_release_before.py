"""Workers of an earlier release alongside new ones during an upgrade, with the new database and the old queue."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from pytest_django import Settings

from devices.tasks import sync_devices
from jobs.models import JobDevice, Participant
from jobs.states import Status
from tests.devices.beside import Site
from tests.devices.conftest import OLD
from tests.devices.lab import Lab, devices_of, ended
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
def test_an_old_worker_does_its_own_jobs_and_refuses_to_help(
    postgresql: object, rabbitmq: object, site: Site, lab: Lab, old: Path
) -> None:
    lab.workers = 2
    names = [f"sw{number}" for number in range(12)]
    lab.add(*names, platform="notes")
    site.go.touch()
    site.platform.beat()

    alone = site.worker_of(old, "old")  # the queue is as this one declares it
    first = ended(sync_devices.schedule(hostnames=names[:4], dry_run=False).pk)
    assert (first.status, (first.worker or "").partition("@")[0]) == (Status.FINISHED, "old")
    assert list(devices_of(first)) == names[:4]
    assert not JobDevice.objects.filter(job=first).exists()
    alone.stop()

    site.go.unlink()
    for name in ("new1", "new2"):
        site.platform.worker(name, concurrency=1)
    job = sync_devices.schedule(hostnames=names[4:], dry_run=False)
    wait_until(lambda: Participant.objects.filter(job=job).count() == 2, timeout=60)
    beside = site.worker_of(old, "old")  # it is idle, so it is asked
    wait_until(lambda: "it is RUNNING" in beside.output(), timeout=60, message=beside.output)
    assert site.carried_out_by(job.pk) == {"new1", "new2"}
    assert site.commits() == Counter(names)
    assert beside.running
