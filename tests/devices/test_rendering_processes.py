"""Hostile templates in a real worker: they see nothing of it, and end with their job, or with the worker."""

import json
import os
import signal

import psutil
import pytest

from devices.tasks import sync_devices
from jobs.models import Job
from jobs.states import Status
from tests.devices.lab import Lab, devices_of, ended
from tests.services.managed import Managed
from tests.services.processes import Platform
from tests.waiting import wait_until

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% if a > b %}{% endif %}{% endfor %}{% endfor %}"
SECRET = "S3cret-of-the-platform"


def renderers(worker: Managed) -> list[psutil.Process]:
    found = psutil.Process(worker.pid).children(recursive=True)
    return [process for process in found if "rendering/child.py" in " ".join(process.cmdline())]


def busy(worker: Managed) -> list[psutil.Process]:
    return [process for process in renderers(worker) if sum(process.cpu_times()[:2]) > 0.7]


@pytest.fixture
def worker(site: Platform, lab: Lab) -> Managed:
    lab.add("sw1", "sw2")
    lab.add("sw3", platform="endless")
    return site.worker(concurrency=1, env={"SECRET_KEY": SECRET, "TEMPLATE_SECRET_SNMP": "community-77"})


def test_a_template_sees_nothing_of_the_worker(worker: Managed, lab: Lab) -> None:
    lab.template("{{ TEMPLATE_SECRET_SNMP|length }} {{ cycler.__init__.__globals__.os.environ }}", platform="endless")
    lab.template("{{ host }} {{ TEMPLATE_SECRET_SNMP }}")
    devices = devices_of(ended(sync_devices.schedule(all=True).pk))
    assert SECRET not in json.dumps(devices)
    assert "unsafe" in devices["sw3"]["job_tasks"][-1]["result"]
    assert devices["sw1"]["job_tasks"][1]["result"] == "sw1 TEMPLATE_SECRET_SNMP"
    assert [process.environ() for process in renderers(worker)] == [{}] * len(renderers(worker))


def test_rendering_is_not_bound_to_the_processor_of_the_threads_that_wait_for_it(worker: Managed, lab: Lab) -> None:
    ended(sync_devices.schedule(all=True).pk)
    allowed = psutil.Process().cpu_affinity()
    assert [process.cpu_affinity() for process in renderers(worker)] == [allowed] * len(renderers(worker))
    assert renderers(worker)


def test_an_abort_ends_a_template_that_has_no_end(site: Platform, worker: Managed, lab: Lab) -> None:
    site.web()
    lab.template(ENDLESS, platform="endless")
    job = sync_devices.schedule(all=True)
    wait_until(lambda: busy(worker), timeout=60)
    assert site.request("PUT", f"/api/v1.0/job/{job.pk}", {"action": "ABORT"})[0] == 200
    assert ended(job.pk).exception_type == "JobAborted"
    assert busy(worker) == []


@pytest.mark.parametrize("killed", ["the worker", "the job's process"])
def test_a_template_ends_with_the_process_that_wants_it(worker: Managed, lab: Lab, killed: str) -> None:
    lab.template(ENDLESS, platform="endless")
    sync_devices.schedule(all=True)
    wait_until(lambda: busy(worker), timeout=60)
    (child,) = [process for process in worker.children() if "rendering/child.py" not in " ".join(process.cmdline())]
    found = renderers(worker)
    os.kill(worker.pid if killed == "the worker" else child.pid, signal.SIGKILL)
    wait_until(lambda: not any(process.is_running() for process in found), timeout=10)


def test_a_template_that_takes_too_long_fails_its_device_alone(site: Platform, lab: Lab) -> None:
    lab.add("sw1")
    lab.add("sw3", platform="endless")
    lab.template(ENDLESS, platform="endless")
    site.worker(env={"CNAASJOBS_RENDER_SECONDS": "1"})
    job = ended(sync_devices.schedule(all=True, dry_run=False).pk)
    assert job.status == Status.FINISHED
    devices = devices_of(job)
    assert devices["sw1"]["failed"] is False
    assert devices["sw3"]["job_tasks"][-1]["result"] == (
        "template full.j2: rendering takes longer than 1 seconds (CNAASJOBS_RENDER_SECONDS)"
    )
    assert Job.objects.count() == 1
