"""A worker that can help but runs other code than the run's: it is invited, joins, and leaves again."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from pytest_django import Settings

from devices.tasks import sync_devices
from jobs.models import Participant
from tests.devices.beside import Site
from tests.devices.lab import Lab
from tests.services.processes import ROOT, Platform
from tests.waiting import wait_until

PACKAGES = ("cnaasjobs", "console", "devices", "jobs", "locks", "tests")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The source with one line more where a device is pushed."""
    root = tmp_path / "other"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (root / "devices" / "sync" / "one_device.py").open("a") as source:
        source.write("# another version\n")
    return root


@pytest.mark.long
@pytest.mark.needs("postgresql", "rabbitmq")
def test_a_worker_with_other_code_joins_and_takes_no_device(
    postgresql: object,
    rabbitmq: object,
    lab: Lab,
    platform: Platform,
    settings: Settings,
    tmp_path: Path,
    other: Path,
) -> None:
    site = Site(lab, platform, settings, tmp_path)
    lab.workers = 2
    names = [f"sw{number}" for number in range(8)]
    lab.add(*names, platform="notes")
    platform.beat()
    platform.worker("first", concurrency=1)
    job = sync_devices.schedule(hostnames=names, dry_run=False)
    wait_until(lambda: Participant.objects.filter(job=job).exists(), timeout=60)
    worker = site.worker_of(other, "other")
    wait_until(lambda: "does not help" in worker.output(), timeout=60, message=worker.output)
    assert site.carried_out_by(job.pk) == {"first"}
    assert site.commits() == Counter(names)
    assert worker.running
