"""``failed_of``: the devices that an earlier sync left undone, however it ended."""

import io
import json
from typing import Any

import pytest
from django.core.management import call_command

from devices.tasks import sync_devices
from jobs.end_reasons import EndReason
from jobs.models import AuditEntry, Job
from tests.api.conftest import Api, Reply, api
from tests.devices.lab import Lab
from tests.factory import device_row, job_row

__all__ = ["api"]

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/device_syncto"


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.add("sw1", "sw2", "sw3", "sw4")


def sync_row(status: str = "FINISHED", *, selected: dict[str, Any] | None = None, **fields: Any) -> Job:
    arguments = sync_devices.bound(selected or {"all": True})
    return job_row(status, task_name=sync_devices.name, start_arguments=json.dumps(arguments), **fields)


def after(api: Api, job: Job, **more: Any) -> Reply:
    return api.post(URL, {"failed_of": job.pk, **more})


def hostnames(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    arguments = json.loads(Job.objects.get(pk=reply.body["job_id"]).start_arguments)
    names: list[str] = arguments["hostnames"]
    assert reply.headers["X-Total-Count"] == str(len(names))
    return names


@pytest.mark.parametrize("end", [None, *EndReason])
def test_failed_and_lost_and_never_begun_devices_are_taken_whatever_the_end(api: Api, end: EndReason | None) -> None:
    job = sync_row("FINISHED") if end is None else sync_row("EXCEPTION", exception_type=end.value)
    device_row(sync_row(), "sw1", reason="of another job")
    device_row(job, "sw1", place=3, reason="cannot connect: timed out")  # it took longest in the job before
    device_row(job, "sw4", "WAITING", place=0)
    device_row(job, "sw2", place=1, reason="worker celery@w1 was lost in commit: its state is not known", report=None)
    device_row(job, "sw3", place=2)
    reply = after(api, job, dry_run=False, force=True)
    assert hostnames(reply) == ["sw4", "sw2", "sw1"]
    assert reply.body["data"] == f"Scheduled job to synchronize what job {job.pk} left undone: sw4, sw2, sw1"
    started = Job.objects.get(pk=reply.body["job_id"])
    assert (started.link.of_id, started.link.kind) == (job.pk, "failed")
    assert json.loads(started.start_arguments) == sync_devices.bound(
        {"hostnames": ["sw4", "sw2", "sw1"], "dry_run": False, "force": True, "confirm_mode": 1}
    )
    assert AuditEntry.objects.get().detail == f"sync_devices: what job {job.pk} left undone: sw4, sw2, sw1"


def test_a_job_that_ended_before_it_began_left_all_undone(api: Api) -> None:
    waiting = sync_row("EXCEPTION", exception_type="JobAborted", start_time=None, finished_devices=None)
    assert hostnames(after(api, waiting)) == ["sw1", "sw2", "sw3", "sw4"]
    named = sync_row("EXCEPTION", exception_type="LockWaitTimeout", selected={"hostnames": ["sw3", "sw1"]})
    assert hostnames(after(api, named)) == ["sw3", "sw1"]


def _result(**failed: bool) -> str:
    return json.dumps({"devices": {host: {"failed": value, "job_tasks": []} for host, value in failed.items()}})


def test_a_job_of_a_version_without_device_rows_is_read_by_its_result(api: Api) -> None:
    device_row(sync_row(), "sw1")  # of a later version, beside it
    finished = sync_row(result=_result(sw1=False, sw2=True, sw3=False, sw4=True))
    assert hostnames(after(api, finished)) == ["sw2", "sw4"]
    aborted = sync_row("EXCEPTION", exception_type="JobAborted", result=_result(sw1=False, sw2=True))
    assert hostnames(after(api, aborted)) == ["sw2", "sw3", "sw4"]
    lost = sync_row("EXCEPTION", exception_type="WorkerLost", finished_devices='["sw1"]')  # well, or not: nobody knows
    assert hostnames(after(api, lost)) == ["sw1", "sw2", "sw3", "sw4"]


def test_a_device_that_left_the_inventory_is_named(api: Api, lab: Lab) -> None:
    job = sync_row("EXCEPTION")
    for host in ("sw1", "gone1", "gone2"):
        device_row(job, host, "WAITING")
    device_row(job, "gone3")  # done, so nobody asks for it
    reply = after(api, job)
    assert (reply.status, reply.message) == (
        400,
        f"Devices of job {job.pk} are no longer in the inventory: gone1, gone2. Select the others by hostnames",
    )


def test_nothing_left_to_do_is_reported(api: Api) -> None:
    well = sync_row()
    device_row(well, "sw1")
    for job in (well, sync_row(result=_result(sw1=False)), sync_row(result=_result())):
        reply = after(api, job)
        assert (reply.status, reply.message) == (400, f"Job {job.pk} left no device undone")


@pytest.mark.parametrize("status", ["SCHEDULED", "RUNNING"])
def test_a_job_that_has_not_ended_is_refused(api: Api, status: str) -> None:
    job = sync_row(status)
    device_row(job, "sw1", "WAITING")
    reply = after(api, job)
    assert (reply.status, reply.message) == (400, f"Job {job.pk} is {status}: failed_of takes a job that has ended")


def test_a_job_that_is_no_sync_or_not_there_is_refused(api: Api) -> None:
    other = job_row(function_name="reload_devices")
    device_row(other, "sw1", "WAITING")
    assert after(api, other).message == f"Job {other.pk} (reload_devices) is not a sync of devices"
    reply = api.post(URL, {"failed_of": 987654})
    assert (reply.status, reply.message) == (400, "No job with id 987654 found")


@pytest.mark.parametrize("value", [0, -1, 2**63, True, 1.0, "41", [41], False])
def test_what_can_be_no_job_is_refused(api: Api, value: Any) -> None:
    reply = api.post(URL, {"failed_of": value})
    assert (reply.status, reply.message) == (400, "failed_of must be the id of a job")


def test_failed_of_is_refused_beside_another_selector(api: Api) -> None:
    reply = api.post(URL, {"failed_of": 1, "all": True})
    assert (reply.status, "not all and failed_of" in reply.message) == (400, True)


def test_a_repeated_request_is_answered_as_the_first_also_when_the_job_is_gone(api: Api) -> None:
    job = sync_row()
    device_row(job, "sw1", reason="no")
    body = {"failed_of": job.pk}
    first = api.post(URL, body, HTTP_IDEMPOTENCY_KEY="k")
    job.delete()
    assert api.post(URL, body, HTTP_IDEMPOTENCY_KEY="k").body == first.body
    assert api.post(URL, body).status == 400


def test_the_same_at_the_command_line() -> None:
    job = sync_row(comment="night")
    device_row(job, "sw1")
    device_row(job, "sw3", reason="no route")
    out = io.StringIO()
    call_command("jobs", "rerun", str(job.pk), "--only-failed", "--json", stdout=out)
    again = json.loads(out.getvalue())
    assert (again["start_arguments"]["hostnames"], again["comment"]) == (["sw3"], "night")
    assert Job.objects.get(pk=again["id"]).link.kind == "failed"
