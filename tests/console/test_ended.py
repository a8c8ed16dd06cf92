"""Rows of ended jobs and devices are cached, and never shown when they are out of date."""

import pytest
from django.db import transaction

from console.reads.ended import Ended
from jobs.models import Job, JobDevice
from tests.console.conftest import PersonOf
from tests.console.test_jobs import rows
from tests.factory import NOON, device_row, job_row
from tests.large import statements_of

pytestmark = pytest.mark.django_db(transaction=True)


def read(job_id: int) -> Job:
    return Job.objects.get(pk=job_id)


def test_only_what_ended_is_kept_and_only_until_its_row_changes() -> None:
    kept, ended, runs = Ended[str](10), read(job_row("FINISHED").pk), read(job_row("RUNNING").pk)
    for job in (ended, runs):
        kept.keep("shown", "feed", job, "page 1")
    assert [kept.get("feed", job, "page 1") for job in (ended, runs)] == ["shown", None]
    assert kept.get("feed", ended, "page 2") is None
    assert kept.get("another database", ended, "page 1") is None
    Job.objects.filter(pk=ended.pk).update(comment="a word")
    assert kept.get("feed", read(ended.pk), "page 1") is None


def test_in_a_transaction_whose_own_changes_all_have_one_number_nothing_is_kept() -> None:
    kept, ended = Ended[str](10), job_row("FINISHED")
    with transaction.atomic():
        kept.keep("shown", "feed", read(ended.pk))
        assert kept.get("feed", read(ended.pk)) is None


def test_no_more_are_kept_than_there_is_room_for() -> None:
    kept, jobs = Ended[int](3), [read(job_row("FINISHED").pk) for _ in range(5)]
    for number, job in enumerate(jobs):
        kept.keep(number, "feed", job)
    assert [kept.get("feed", job) for job in jobs] == [None, None, None, 3, 4]


def test_a_row_that_was_shown_is_made_anew_when_its_job_changes(
    person_of: PersonOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.reads.shared.SECONDS", 0.0)
    boss = person_of("jobs.view_job")
    job = job_row("EXCEPTION", exception_type="WorkerLost")
    assert "WorkerLost" in boss.read("/jobs")
    assert not any('"jobs_joboutcome"' in sql for sql in statements_of(boss.client, "/jobs"))
    Job.objects.filter(pk=job.pk).update(comment="looked at by ann")
    assert "looked at by ann" in rows(boss.markup("/jobs"))[f"job-{job.pk}"]


def test_the_devices_of_an_ended_job_are_read_once(person_of: PersonOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.reads.shared.SECONDS", 0.0)
    boss = person_of("jobs.view_job")
    job = job_row("FINISHED")
    for name in ("sw1", "sw2"):
        device_row(job, name)
    assert "All 2" in boss.read(f"/jobs/{job.pk}")
    assert not any('"jobs_jobdevice"' in sql for sql in statements_of(boss.client, f"/jobs/{job.pk}"))
    assert any('"jobs_jobdevice"' in sql for sql in statements_of(boss.client, f"/jobs/{job.pk}?device=sw1"))


def test_a_device_of_a_running_job_is_made_anew_when_it_changes(
    person_of: PersonOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.reads.shared.SECONDS", 0.0)
    boss, job = person_of("jobs.view_job"), job_row("RUNNING")
    row = JobDevice.objects.filter(pk=device_row(job, "sw1", "TAKEN").pk)
    device_row(job, "sw2", "TAKEN")
    page = boss.read(f"/jobs/{job.pk}")
    assert "sw1 in progress" in page
    row.update(state="DONE", failed=True, reason="no route", finish_time=NOON)
    page = boss.read(f"/jobs/{job.pk}")
    assert "sw1 failed" in page
    assert "no route" in page
    assert "sw2 in progress" in page
    row.update(reason="no route at all")
    assert "no route at all" in boss.read(f"/jobs/{job.pk}")
