"""``plan`` over HTTP: which dry runs are a plan, and what the live run is asked to do."""

import json
from datetime import timedelta
from typing import Any

import pytest

from cnaasjobs.api.times import time_text
from cnaasjobs.db.clock import database_now
from devices.tasks import sync_devices
from jobs.errors import JobArgumentError
from jobs.models import AuditEntry, Job
from tests.api.conftest import Api, Reply, api
from tests.devices.lab import Lab
from tests.factory import device_row, job_row

__all__ = ["api"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.add("sw1", "sw2", "sw3")


def dry_run(status: str = "FINISHED", *, dry_run: bool = True, seconds_ago: float = 60, **fields: Any) -> Job:
    """One that showed sw2 and sw1, in this order."""
    arguments = sync_devices.bound({"hostnames": ["sw2", "sw1"], "dry_run": dry_run})
    ended = {"finish_time": database_now() - timedelta(seconds=seconds_ago)} if status == "FINISHED" else {}
    fields = {"task_name": sync_devices.name, "start_arguments": json.dumps(arguments), **ended, **fields}
    job = job_row(status, **fields)
    device_row(job, "sw1", place=1, reason="cannot connect: timed out")  # it took longest in the job before
    device_row(job, "sw2", place=0)
    return job


def carry_out(api: Api, job: Job | int, **more: Any) -> Reply:
    return api.post("/device_syncto", {"plan": job if isinstance(job, int) else job.pk, **more})


@pytest.mark.parametrize("more", [{}, {"dry_run": False}, {"dry_run": None, "all": False, "hostname": None}])
def test_the_devices_of_the_dry_run_are_changed_live(api: Api, more: dict[str, Any]) -> None:
    dry_run()
    job = dry_run()
    reply = carry_out(api, job, **more, confirm_mode=2)
    assert reply.status == 200, reply.body
    assert reply.body["data"] == f"Scheduled job to synchronize what job {job.pk} showed of sw2, sw1"
    assert reply.headers["X-Total-Count"] == "2"
    started = Job.objects.get(pk=reply.body["job_id"])
    assert json.loads(started.start_arguments) == sync_devices.bound(
        {"hostnames": ["sw2", "sw1"], "dry_run": False, "confirm_mode": 2, "plan": job.pk}
    )
    assert started.function_name == "sync_devices"
    assert (started.link.of_id, started.link.kind) == (job.pk, "plan")
    assert AuditEntry.objects.get().detail == f"sync_devices: what job {job.pk} showed of sw2, sw1"


def refusal(reply: Reply) -> str:
    assert reply.status == 400
    assert Job.objects.filter(status="SCHEDULED", start_arguments__contains='"plan"').count() == 0
    return reply.message


def test_a_plan_is_no_dry_run_itself(api: Api) -> None:
    said = refusal(carry_out(api, dry_run(), dry_run=True))
    assert said == "A plan is applied live: dry_run must be false or absent"


def test_a_live_run_is_no_plan(api: Api) -> None:
    job = dry_run(dry_run=False)
    assert refusal(carry_out(api, job)) == f"Job {job.pk} is not a dry run: only a dry run can be a plan"


@pytest.mark.parametrize("status", ["SCHEDULED", "RUNNING", "EXCEPTION"])
def test_a_dry_run_that_did_not_finish_is_no_plan(api: Api, status: str) -> None:
    job = dry_run(status)
    assert refusal(carry_out(api, job)) == f"Job {job.pk} is {status}: only a dry run that is FINISHED can be a plan"


def test_a_dry_run_that_is_too_old_is_no_plan(api: Api, settings: Any) -> None:
    job = dry_run(seconds_ago=86_400 + 60)
    said = f"more than {86_400} seconds (CNAASJOBS_PLAN_MAX_AGE_SECONDS) ago"
    assert job.finish_time is not None
    finished = f"it finished {time_text(job.finish_time)}"
    assert refusal(carry_out(api, job)) == f"Job {job.pk} is too old for a plan: {finished}, {said}"
    settings.CNAASJOBS_PLAN_MAX_AGE_SECONDS = 2 * 86_400
    assert carry_out(api, job).status == 200
    settings.CNAASJOBS_PLAN_MAX_AGE_SECONDS = 30
    assert "more than 30 seconds" in carry_out(api, dry_run()).message


def test_a_job_that_was_pruned_or_is_no_sync_is_no_plan(api: Api) -> None:
    assert refusal(carry_out(api, 987654)) == "No job with id 987654 found"
    other = job_row(function_name="reload_devices (dry_run)", start_arguments='{"dry_run": true}')
    assert refusal(carry_out(api, other)) == f"Job {other.pk} (reload_devices (dry_run)) is not a sync of devices"


def test_a_dry_run_that_kept_nothing_is_no_plan(api: Api) -> None:
    job = dry_run()
    job.devices.all().delete()
    assert "stored nothing of what it showed" in refusal(carry_out(api, job))


def test_a_device_that_left_the_inventory_is_named(api: Api, lab: Lab) -> None:
    job = dry_run()
    del lab.hosts["sw2"]
    lab.write()
    assert f"Devices of job {job.pk} are no longer in the inventory: sw2" in refusal(carry_out(api, job))


@pytest.mark.parametrize("more", [{"hostnames": ["sw1"]}, {"all": True}, {"failed_of": 1}])
def test_a_plan_of_another_selection_is_refused(api: Api, more: dict[str, Any]) -> None:
    assert "Exactly one of" in refusal(carry_out(api, dry_run(), **more))


@pytest.mark.parametrize("value", [0, True, "41", 2**63, 1.5, False])
def test_what_can_be_no_job_is_refused(api: Api, value: Any) -> None:
    assert api.post("/device_syncto", {"plan": value}).message == "plan must be the id of a job"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"all": True, "plan": 41, "dry_run": False}, "A plan needs the hostnames of its devices"),
        ({"hostnames": ["sw1"], "plan": 41}, "a plan is applied live: dry_run must be false"),
        ({"hostnames": ["sw1"], "plan": "41", "dry_run": False}, "plan '41' is not the id of a job"),
        ({"hostnames": ["sw1"], "plan": True, "dry_run": False}, "plan True is not the id of a job"),
        ({"hostnames": ["sw1"], "plan": 0, "dry_run": False}, "plan 0 is not the id of a job"),
        ({"hostnames": ["sw1"], "plam": 41}, "no such argument: plam"),
    ],
)
def test_arguments_of_a_job_are_checked_however_it_is_scheduled(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(JobArgumentError, match=said):
        sync_devices.schedule(**arguments)


def test_a_job_without_a_plan_has_no_such_argument() -> None:
    """A worker of a version that knows none runs it."""
    assert "plan" not in sync_devices.bound({"all": True})
