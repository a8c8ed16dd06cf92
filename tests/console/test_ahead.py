"""Jobs and schedules that are due later, the workers and Beats, and the line that says whether all is well."""

import re
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from console.reads import health, schedules
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.states import Status
from tests import fake_jobs
from tests.console.conftest import PersonOf
from tests.factory import device_row, every, heartbeat, job_in, job_row, job_rows
from tests.factory.broken_schedules import unreadable

SEES = ("jobs.view_job", "django_celery_beat.view_periodictask")
ALL = ("jobs.view_job", "jobs.view_heartbeat")


def test_recurring_schedules_the_next_one_first(person_of: PersonOf) -> None:
    every(3600, name="hourly")
    every(60, name="minutely")
    every(60, name="off", enabled=False)
    broken = every(60, name="broken", task="tests.fake_jobs.successor")
    type(broken).objects.filter(pk=broken.pk).update(interval=None)
    page = person_of(*SEES).read("/schedules")
    names = [page.index(name) for name in ("minutely", "hourly", "broken", " off ")]
    assert names == sorted(names)
    assert "switched off" in page
    assert "never: it has no schedule" in page
    assert "broken named_otherwise never" in page  # as its jobs are called


def test_a_schedule_that_cannot_be_read_is_shown_as_such(person_of: PersonOf) -> None:
    every(60, name="a good one")
    unreadable()
    page = person_of(*SEES).read("/schedules")
    assert page.index("a good one") < page.index("broken")
    assert "never: " in page


def test_an_interval_is_said_as_a_person_would(person_of: PersonOf) -> None:
    for seconds in (30, 3600, 6 * 3600, 90 * 60, 86_400):
        every(seconds, name=f"rule {seconds}")
    page = person_of(*SEES).read("/schedules")
    for words in ("every 30 s ", "every 1 h ", "every 6 h ", "every 1 h 30 min ", "every 1 d "):
        assert words in page


def test_jobs_due_later_the_next_one_first(person_of: PersonOf) -> None:
    now = database_now()
    later, sooner = (
        scheduling.schedule(fake_jobs.nothing, {}, at=now + timedelta(hours=hours), ticket_ref=f"T-{hours}")
        for hours in (5, 2)
    )
    due = scheduling.schedule(fake_jobs.nothing, {})
    page = person_of("jobs.view_job").read("/schedules")
    assert page.index(f"#{sooner.pk}") < page.index(f"#{later.pk}")
    assert f"#{due.pk} " not in page
    assert "T-5" in page
    assert "in 1 h 59 min" in page or "in 2 h 00 min" in page
    assert "Recurring" not in page


def test_of_many_the_first_are_shown(person_of: PersonOf) -> None:
    job_rows(schedules.SHOWN + 1, **_due_later())
    assert f"Only the next {schedules.SHOWN} are shown." in person_of("jobs.view_job").read("/schedules")


def _due_later() -> dict[str, Any]:
    fields = {"status": "SCHEDULED", "scheduled_time": database_now() + timedelta(days=1)}
    return fields | {"start_time": None, "finish_time": None, "finished_devices": None, "attempt": 0}


def test_workers_and_beats_with_their_jobs_and_queues(person_of: PersonOf) -> None:
    worker = heartbeat("celery@w1", queues='["default", "fast"]', concurrency=4)
    heartbeat("celery@w2", last_seen=database_now() - timedelta(seconds=conf.worker_lost_seconds + 5))
    heartbeat("celery@w3", stopped_at=database_now())
    heartbeat("beat-1", kind="beat", queues="[]")
    running = job_row("RUNNING", worker_id=worker.pk)
    scheduling.schedule(fake_jobs.nothing, {}, queue="nobody")
    page = person_of(*ALL).read("/workers")
    assert "celery@w1 worker, pid 4711 ✓ alive" in page
    assert re.search(r"celery@w2 worker, pid 4711 ! silent \d.* ago default", page)
    assert "celery@w3 worker, pid 4711 ■ stopped" in page
    assert "beat-1 Beat, pid 4711 ✓ alive" in page
    assert f"sync_devices #{running.pk}" in page
    assert "nobody none 0 1" in page
    person_of("jobs.view_job", name="other").read("/workers", status=403)


def _serve() -> None:
    heartbeat("celery@w1", concurrency=4)
    heartbeat("beat-1", kind="beat", queues="[]")


def test_all_is_well(person_of: PersonOf) -> None:
    _serve()
    job_row("RUNNING")
    job_row("EXCEPTION", finish_time=database_now(), exception_type="JobAborted")
    job_row("EXCEPTION")  # long ago
    assert "All is well 1 worker, 1 Beat, 1 job runs" in person_of(*ALL).read("/jobs")


def test_what_is_not_well_is_reported_with_where_to_look(person_of: PersonOf) -> None:
    job_row("EXCEPTION", finish_time=database_now())
    failing = job_row(finish_time=database_now())
    device_row(failing, "a1", reason="no")
    device_row(failing, "a2", reason="no")
    late = scheduling.schedule(fake_jobs.nothing, {}, queue="nobody")
    long_ago = database_now() - timedelta(hours=1)
    Job.objects.filter(pk=late.pk).update(scheduled_time=long_ago, dispatched_at=None)
    person = person_of(*ALL)
    page = person.read("/jobs")
    assert "Not all is well" in page
    for words in (
        "No worker is alive",
        "No Beat is alive",
        "1 job waits on queue nobody, which no worker serves",
        f"Job {late.pk} has been due for",
        "1 job ended with an exception in the last hour",
        f"2 of 2 devices failed in job {failing.pk}",
    ):
        assert words in page
    assert f'href="/jobs/{failing.pk}"' in person.markup("/jobs")


def test_a_process_that_has_died_is_not_counted(person_of: PersonOf) -> None:
    _serve()
    heartbeat("celery@w2", last_seen=database_now() - timedelta(seconds=conf.worker_lost_seconds + 5))
    page = person_of(*ALL).read("/jobs")
    assert "1 worker or Beat is silent" in page
    assert "1 worker, 1 Beat, 0 jobs run" in page


def test_of_many_exceptions_no_more_are_said_than_were_counted(person_of: PersonOf) -> None:
    _serve()
    job_rows(health.NEWEST + 1, status="EXCEPTION", exception_type="X", finish_time=database_now())
    assert f"At least {health.NEWEST} jobs ended with an exception" in person_of(*ALL).read("/jobs")


def test_only_what_one_may_see_is_reported(person_of: PersonOf) -> None:
    assert "No worker is alive" in person_of(*ALL, name="boss").read("/jobs")
    page = person_of("jobs.view_job").read("/jobs")
    assert "All is well 0 jobs run" in page
    assert "No worker is alive" not in page


def test_the_line_costs_the_same_with_many_jobs(person_of: PersonOf) -> None:
    _serve()
    person = person_of(*ALL)

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            person.read("/jobs?before=1")
            person.read("/jobs")
        return len(captured)

    job_in(Status.FINISHED)
    few = statements()
    job_rows(200, finish_time=database_now())
    assert statements() <= few + 2  # a statement more where there is something to read
