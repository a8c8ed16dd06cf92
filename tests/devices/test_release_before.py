"""Workers of an earlier release beside new ones, in the middle of an upgrade: on the new database, on the old queue."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from pytest_django import Settings

from devices.tasks import sync_devices
from jobs.models import JobDevice, Participant
from jobs.states import Status
from tests.devices.conftest import OLD
from tests.devices.lab import Lab, devices_of, ended
from tests.services.managed import Managed
from tests.services.processes import ROOT, Platform
from tests.waiting import wait_until

QUICK = {"CNAASJOBS_HEARTBEAT_SECONDS": "0.2", "CNAASJOBS_UPKEEP_SECONDS": "0.6"}

DRIVER = """
import pathlib, time
from devices.lab import driver as lab

HERE = pathlib.Path(__file__).parent

class Driver(lab.LabDriver):
    # Each waits until it may go on, and writes down what it commits.

    def open(self):
        while not (HERE / "go").exists():
            time.sleep(0.05)
        super().open()

    def commit_config(self, message="", revert_in=None):
        super().commit_config(message, revert_in)
        with (HERE / "commits").open("a") as log:
            log.write(self.hostname + "\\n")
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The source of a release in which devices were no rows, jobs had one process and messages one argument."""
    archive = subprocess.run(["git", "archive", OLD], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    root = tmp_path / "old"
    root.mkdir()
    subprocess.run(["tar", "-x", "-C", root], input=archive, check=True)
    return root


@pytest.fixture
def site(lab: Lab, platform: Platform, settings: Settings, tmp_path: Path) -> Platform:
    """Processes that serve the inventory of ``lab``, whose driver writes down each commit."""
    drivers = tmp_path / "drivers"
    drivers.mkdir()
    (drivers / "napalm_notes.py").write_text(DRIVER)
    lab.template("hostname {{ host }}\nmotd {{ motd }}\n", platform="notes")
    lab.state = settings.CNAASJOBS_STATE_DIR = platform.directory
    platform.env |= {"NORNIR_CONFIG": str(lab.config), "CNAASJOBS_TEMPLATES": str(lab.templates)}
    platform.env |= {"PYTHONPATH": str(drivers), **QUICK}
    return platform


def old_worker(site: Platform, old: Path) -> Managed:
    """It runs beside the processes of ``site``, which ends it too."""
    beside = Platform(
        database_url=site.env["DATABASE_URL"],
        broker_url=site.env["CELERY_BROKER_URL"],
        directory=site.directory / "old",
        env={**site.env, "CNAASJOBS_STATE_DIR": str(site.directory)},
        root=old,
    )
    worker = beside.worker("old", concurrency=1)
    site.processes.append(worker)
    return worker


def commits(tmp_path: Path) -> Counter[str]:
    log = tmp_path / "drivers" / "commits"
    return Counter(log.read_text().split()) if log.exists() else Counter()


@pytest.mark.long
@pytest.mark.needs("postgresql", "rabbitmq")
def test_an_old_worker_does_its_own_jobs_and_refuses_to_help(
    postgresql: object, rabbitmq: object, site: Platform, lab: Lab, old: Path, tmp_path: Path
) -> None:
    lab.workers = 2
    names = [f"sw{number}" for number in range(12)]
    lab.add(*names, platform="notes")
    go = tmp_path / "drivers" / "go"
    go.touch()
    site.beat()

    alone = old_worker(site, old)  # the queue is as this one declares it
    first = ended(sync_devices.schedule(hostnames=names[:4], dry_run=False).pk)
    assert (first.status, (first.worker or "").partition("@")[0]) == (Status.FINISHED, "old")
    assert list(devices_of(first)) == names[:4]
    assert not JobDevice.objects.filter(job=first).exists()
    alone.stop()

    go.unlink()
    for name in ("new1", "new2"):
        site.worker(name, concurrency=1)
    job = sync_devices.schedule(hostnames=names[4:], dry_run=False)
    wait_until(lambda: Participant.objects.filter(job=job).count() == 2, timeout=60)
    beside = old_worker(site, old)  # it is idle, so it is asked
    wait_until(lambda: "it is RUNNING" in beside.output(), timeout=60, message=beside.output)
    go.touch()
    job = ended(job.pk)
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    assert not any(device["failed"] for device in devices_of(job).values())
    workers = JobDevice.objects.filter(job=job).values_list("worker", flat=True)
    assert {(worker or "").partition("@")[0] for worker in workers} == {"new1", "new2"}
    assert commits(tmp_path) == Counter(names)
    assert beside.running
