"""What a job waits for: every reason, wherever it is shown; and the locks with their lines."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.operating import approving
from jobs.states import Status
from jobs.waiting import lines
from jobs.waiting.why import reasons_of
from tests import fake_jobs
from tests.api.conftest import Api
from tests.factory import device_row, heartbeat, hold_lock, job_in, job_rows, refused
from tests.factory.held import HELD, held_by
from tests.operating.people import by, guarded, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("what", HELD)
def test_the_api_says_all_that_holds_a_job(api: Api, what: str) -> None:
    held = held_by(what)
    found = api.get(f"/job/{held.job.pk}/waiting").data
    assert (found["job_id"], found["status"]) == (held.job.pk, "SCHEDULED")
    assert tuple(reason["holds"] for reason in found["waiting"]) == held.holds
    text = " ".join(reason["text"] for reason in found["waiting"])
    for said in held.says:
        assert said in text


def test_a_lock_says_who_holds_it_how_far_that_is_and_who_is_ahead(api: Api) -> None:
    heartbeat("beat", kind="beat")
    holder = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    device_row(holder, "a1")
    device_row(holder, "a2", reason="no route")
    device_row(holder, "a3", "WAITING")
    second, third = (scheduling.schedule(fake_jobs.with_lock, {}, scheduled_by="ann") for _ in range(2))
    for job in (second, third):
        refused(job)
    (reason,) = (each for each in api.get(f"/job/{third.pk}/waiting").data["waiting"] if each["holds"] == "lock")
    assert reason["place"] == 2
    assert f"1 job is ahead of it in line for lock devices, first job {second.pk}" in reason["text"]
    assert [(each["job_id"], each["scheduled_by"]) for each in reason["ahead"]] == [(second.pk, "ann")]
    assert reason["holder"]["job_id"] == holder.pk
    assert reason["holder"]["devices"] == {"done": 2, "total": 3, "failed": 1}
    assert reason["holder"]["since"] is not None
    assert reason["since"] is not None
    (lock,) = api.get("/locks").data["locks"]
    assert (lock["name"], lock["waiting"]) == ("devices", 2)
    assert lock["holder"] == reason["holder"]
    assert [each["job_id"] for each in lock["line"]] == [second.pk, third.pk]


def test_a_lock_of_nobody_with_a_line_and_one_of_a_job_that_is_gone_are_shown(api: Api) -> None:
    job = scheduling.schedule(fake_jobs.with_lock, {})
    hold_lock("other", 4711)
    devices, other = api.get("/locks").data["locks"]
    assert (devices["name"], devices["holder"], devices["waiting"]) == ("devices", None, 1)
    assert devices["line"][0]["job_id"] == job.pk
    assert (other["name"], other["holder"]["job_id"], other["holder"]["function_name"]) == ("other", 4711, None)
    assert other["holder"]["devices"] is None


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FINISHED, Status.EXCEPTION])
def test_nothing_holds_a_job_that_has_started(api: Api, status: Status) -> None:
    job = job_in(status)
    assert api.get(f"/job/{job.pk}/waiting").data == {"job_id": job.pk, "status": status, "waiting": []}


def test_nothing_holds_one_that_was_approved_since_it_was_read() -> None:
    job = guarded()
    approving.approve(job.pk, by=by(user("bob")))
    assert job.unapproved
    assert reasons_of([job]) == {job.pk: []}


def test_what_a_job_waits_for_that_does_not_exist_is_a_404(api: Api) -> None:
    assert api.get("/job/4711/waiting").status == 404


def test_a_job_behind_a_thousand_says_so() -> None:
    holder = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    line: dict[str, Any] = {
        "status": "SCHEDULED",
        "finish_time": None,
        "start_time": None,
        "finished_devices": None,
        "attempt": 0,
    }
    job_rows(lines.COUNTED + 1, function_name="earlier", lock_name="devices", **line)
    last = scheduling.schedule(fake_jobs.with_lock, {})
    reason = reasons_of([last])[last.pk][0]
    assert f"1000 or more jobs are ahead of it in line for lock devices, first job {holder.pk + 1} (earlier)." in str(
        reason
    )
    assert reason.facts["place"] is None
    assert len(reason.facts["ahead"]) == lines.SHOWN


def _for_later_and_no_beat() -> None:
    scheduling.schedule_many(fake_jobs.nothing, [{} for _ in range(30)], at=database_now() + timedelta(hours=1))


def _in_line() -> None:
    held_by("those before it in line")
    scheduling.schedule_many(fake_jobs.with_lock, [{} for _ in range(30)])


def _for_another_person() -> None:
    scheduling.schedule_many(fake_jobs.guarded, [{} for _ in range(30)])


@pytest.mark.parametrize("wait", [_for_later_and_no_beat, _in_line, _for_another_person])
def test_many_jobs_take_no_more_statements_than_two(wait: Callable[[], None]) -> None:
    wait()
    jobs = list(Job.objects.filter(status="SCHEDULED"))
    reasons_of(jobs[:2])
    with CaptureQueriesContext(connection) as of_two:
        reasons_of(jobs[:2])
    with CaptureQueriesContext(connection) as of_all:
        assert all(reasons_of(jobs).values())
    assert len(of_all) == len(of_two)
