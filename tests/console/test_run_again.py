"""Before a sync is run again, the page says whether a dry run has shown what it will change."""

import json
from pathlib import Path
from typing import Any

import pytest

from devices.tasks import sync_devices
from jobs.models import Job
from tests.console.conftest import Person
from tests.devices.lab import Lab
from tests.factory import device_row, job_row

UNSEEN = "It is a live run, and no dry run has shown what it changes."


@pytest.fixture(autouse=True)
def _lab(tmp_path: Path, settings: Any) -> None:
    lab = Lab(tmp_path)
    lab.add("a1")
    settings.NORNIR_CONFIG, settings.CNAASJOBS_TEMPLATES = lab.config, lab.templates
    settings.CNAASJOBS_STATE_DIR = lab.state


def synced(**arguments: Any) -> Job:
    task: Any = sync_devices
    whole = {"hostnames": ["a1"], **arguments}
    job = job_row(task_name=task.name, function_name="sync_devices", start_arguments=json.dumps(whole))
    device_row(job, "a1", reason="would change something else than job 7 showed")
    return job


def test_a_live_run_that_no_dry_run_has_shown(ann: Person) -> None:
    for kind in ("again", "failed"):
        assert UNSEEN in ann.read(f"/jobs/{synced(dry_run=False).pk}/run/{kind}")


def test_a_plan_is_carried_out_again_but_not_on_what_failed(ann: Person) -> None:
    job = synced(dry_run=False, plan=7)
    page = ann.read(f"/jobs/{job.pk}/run/again")
    assert "Each is changed only as job 7 showed" in page
    assert "What sync_devices After" in page  # as its jobs are called, not its code
    assert UNSEEN in ann.read(f"/jobs/{job.pk}/run/failed")
