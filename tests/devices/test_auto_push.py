"""auto_push: a dry run of one host with a small change schedules the live run."""

import json

import pytest
from pytest_django import Settings

from devices.tasks import sync_devices
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.schedulable import ScheduleOptions
from jobs.states import Status
from jobs.testing import assert_scheduled, perform, perform_job
from tests.devices.lab import Lab, devices_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_auto_push_schedules_the_live_run_of_a_small_change(lab: Lab, settings: Settings) -> None:
    settings.CNAASJOBS_CONFIRM_MODE = 0
    lab.add("sw1")
    asked = {"hostnames": ["sw1"], "auto_push": True, "force": True, "resync": True}
    said: ScheduleOptions = {"scheduled_by": "ann", "comment": "new motd", "ticket_ref": "T-1"}
    job = perform(scheduling.schedule(sync_devices, asked, **said))
    assert job.change_score == 2
    successor = assert_scheduled(sync_devices, **asked | {"dry_run": False, "confirm_mode": 0, "auto_push": False})
    assert job.next_job_id == successor.pk
    assert "plan" not in json.loads(successor.start_arguments)
    assert {name: getattr(successor, name) for name in said} == said
    assert perform(successor).status == Status.FINISHED
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"


@pytest.mark.parametrize("why", ["nothing changes", "much changes", "it failed", "two hosts", "live", "unasked"])
def test_auto_push_schedules_nothing_when(lab: Lab, why: str) -> None:
    lab.add("sw1")
    kwargs: dict[str, object] = {"hostnames": ["sw1"], "auto_push": True}
    match why:
        case "nothing changes":
            lab.set_running("sw1", "hostname sw1\nmotd hello\n")
        case "much changes":
            lab.template("".join(f"line {number}\n" for number in range(10)))
        case "it failed":
            perform_job(sync_devices, all=True, dry_run=False)
            lab.set_running("sw1", "hostname sw1\nmotd changed outside\n")
        case "two hosts":
            lab.add("sw2")
            kwargs = {"all": True, "auto_push": True}
        case "live":
            kwargs["dry_run"] = False
        case "unasked":
            kwargs["auto_push"] = False
    job = perform_job(sync_devices, **kwargs)
    assert job.status == Status.FINISHED
    assert devices_of(job)["sw1"]["failed"] is (why == "it failed")
    assert (job.change_score in range(1, 10)) is (why in {"it failed", "two hosts", "live", "unasked"})
    assert job.next_job_id is None
    assert not Job.objects.filter(status=Status.SCHEDULED.value).exists()
