"""Syncs in real processes: over HTTP, aborted on the way, and with the worker killed between commit and confirm."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.tasks import sync_devices
from jobs.models import Job, JobDevice
from jobs.states import Status
from tests.devices.lab import Lab, devices_of, ended
from tests.services.processes import Platform
from tests.waiting import wait_until

DRIVER = """
import pathlib, time
from devices.lab import driver as lab

HERE = pathlib.Path(__file__).parent

class Driver(lab.LabDriver):
    def confirm_commit(self):
        (HERE / "reached").touch()
        while (HERE / "waits").exists():
            time.sleep(0.05)
        super().confirm_commit()
"""


def logged(output: str) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_a_sync_that_was_posted_ends_with_each_device_and_no_secret(site: Platform, lab: Lab) -> None:
    secret = "Sup3rS3cret"
    lab.template("hostname {{ host }}\nsnmp {{ TEMPLATE_SECRET_SNMP }}\n")
    lab.add("sw1", "sw2")
    lab.add("bad", fail="auth")
    worker = site.worker(env={"TEMPLATE_SECRET_SNMP": secret})
    web = site.web()
    status, body, headers = site.post("/api/v1.0/device_syncto", {"all": True, "dry_run": False})
    assert (status, body["data"]) == (200, "Scheduled job to synchronize all devices")
    assert headers["X-Total-Count"] == "3"
    ended(body["job_id"])
    status, answer, _ = site.get(f"/api/v1.0/job/{body['job_id']}")
    (job,) = answer["data"]["jobs"]
    assert (job["status"], job["function_name"], sorted(job["finished_devices"])) == (
        "FINISHED",
        "sync_devices",
        ["bad", "sw1", "sw2"],
    )
    devices = job["result"]["devices"]
    assert [devices[name]["failed"] for name in ("sw1", "sw2", "bad")] == [False, False, True]
    assert "wrong credentials" in devices["bad"]["job_tasks"][-1]["result"]
    assert lab.running("sw1") == f"hostname sw1\nsnmp {secret}\n"
    assert secret not in json.dumps(answer)
    assert secret not in worker.output() + web.output()
    (failure,) = [line for line in logged(worker.output()) if line.get("host") == "bad"]
    assert failure["job_id"] == body["job_id"]
    assert "Traceback" in failure["trace"]


def test_an_abort_over_http_stops_between_devices(site: Platform, lab: Lab) -> None:
    lab.workers = 2
    lab.add(*(f"sw{number}" for number in range(100)), delay_seconds=0.2)
    worker = site.worker()
    site.web()
    _, body, _ = site.post("/api/v1.0/device_syncto", {"all": True, "dry_run": False})
    job_id = body["job_id"]
    wait_until(lambda: Job.objects.get(pk=job_id).finished_devices not in (None, "[]"), timeout=30)
    status, _, _ = site.request("PUT", f"/api/v1.0/job/{job_id}", {"action": "ABORT", "abort_reason": "enough"})
    assert status == 200
    job = ended(job_id)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "JobAborted")
    finished = json.loads(job.finished_devices or "")
    assert 0 < len(finished) < 100
    assert sorted(finished) == sorted(name for name in lab.hosts if lab.running(name) is not None)
    assert [line for line in logged(worker.output()) if line["level"] == "ERROR"] == []
    _, answer, _ = site.get(f"/api/v1.0/job/{job_id}")
    (shown,) = answer["data"]["jobs"]
    devices = shown["result"]["devices"]
    assert shown["exception"]["message"] == "enough (aborted by dev)"
    assert sorted(name for name, device in devices.items() if not device["failed"]) == sorted(finished)
    assert set(devices) <= set(lab.hosts)


def test_a_worker_killed_before_the_confirm_leaves_the_device_to_revert_by_itself(
    site: Platform, lab: Lab, tmp_path: Path
) -> None:
    directory = tmp_path / "drivers"
    directory.mkdir()
    (directory / "napalm_waits.py").write_text(DRIVER)
    lab.template("hostname {{ host }}\nmotd {{ motd }}\n", platform="waits")
    lab.workers = 1
    lab.add("sw1", platform="waits")
    lab.add("sw2")
    site.env["PYTHONPATH"] = str(directory)
    worker = site.worker()
    sync = {"all": True, "dry_run": False, "confirm_mode": 1}
    assert devices_of(ended(sync_devices.schedule(**sync).pk))["sw1"]["failed"] is False
    lab.change("sw1", motd="new")
    lab.change("sw2", motd="new")

    (directory / "reached").unlink()
    (directory / "waits").touch()
    job = sync_devices.schedule(**sync)
    wait_until((directory / "reached").exists, timeout=30)
    worker.kill_tree()
    assert LabDriver("sw1").has_pending_commit()
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"
    uncertain = DeviceState.objects.values_list("host", "uncertain_job_id").order_by("host")
    assert list(uncertain) == [("sw1", job.pk), ("sw2", None)]

    os.utime(lab.pending_file("sw1"), ns=(0, 0))  # its deadline has passed
    assert LabDriver("sw1").get_config()["running"] == "hostname sw1\nmotd hello\n"


@pytest.mark.needs("postgresql", "rabbitmq")
def test_an_idle_worker_helps_with_a_live_sync(postgresql: object, rabbitmq: object, site: Platform, lab: Lab) -> None:
    lab.workers = 2
    lab.add(*(f"sw{number}" for number in range(36)), delay_seconds=0.5)
    quick = {"CNAASJOBS_HEARTBEAT_SECONDS": "0.2", "CNAASJOBS_UPKEEP_SECONDS": "0.6"}
    for name in ("first", "second"):
        site.worker(name, env=quick, concurrency=1)
    site.beat(env=quick)
    job = ended(sync_devices.schedule(all=True, dry_run=False).pk)
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    rows = JobDevice.objects.filter(job=job)
    assert len(set(rows.values_list("worker", flat=True))) == 2
    assert not any(device["failed"] for device in devices_of(job).values())
    assert DeviceState.objects.filter(job_id=job.pk, uncertain_job_id=None).count() == 36
