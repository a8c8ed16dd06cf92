"""The front page, workers, and the audit trail."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.audit import trail
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.states import Status
from tests import fake_jobs
from tests.admin.conftest import Admin, AdminOf
from tests.factory import audit_entries, heartbeat, job_in, job_row, job_rows


@pytest.fixture
def some_of_each(db: None) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    for _ in range(2):
        scheduling.schedule(fake_jobs.nothing, {})
    now = timezone.now()
    Job.objects.filter(status=Status.SCHEDULED.value).update(scheduled_time=now - timedelta(minutes=1))
    for _ in range(3):
        scheduling.schedule(fake_jobs.nothing, {}, at=now + timedelta(hours=1))
    for _ in range(4):
        job_row(finish_time=now)
    job_row("EXCEPTION", finish_time=now, exception_type="ValueError")
    heartbeat()
    heartbeat("celery@w2", last_seen=now - timedelta(hours=1))


@pytest.mark.usefixtures("some_of_each")
def test_the_front_page_counts_jobs_by_what_they_do(viewer: Admin) -> None:
    page = viewer.get("/")
    for words in (
        "1 running",
        "2 due, waiting for a worker",
        "0 in line for a lock",
        "3 scheduled for later",
        "5 ended in 24 hours",
        "1 of these, exceptions",
        "1 locks held",
        "1 live workers",
        "0 live Beats",
    ):
        assert words in page, words
    assert "cnaasjobs" in page


@pytest.mark.usefixtures("some_of_each")
def test_every_number_leads_to_its_list(viewer: Admin) -> None:
    response: Any = viewer.client.get("/admin/")
    found = {}
    for number in response.context_data["numbers"]:
        listed: Any = viewer.client.get(number.url)
        found[number.words] = (number.count, len(listed.context_data["cl"].result_list))
    assert found.pop("due, waiting for a worker") == (2, 5)  # the list has those for later too
    assert {words: count for words, (count, _) in found.items()} == {words: rows for words, (_, rows) in found.items()}
    assert len(found) == 8


def test_counting_stops_where_it_no_longer_matters(viewer: Admin) -> None:
    job_rows(10_050, finish_time=timezone.now())
    assert "10,000+ ended in 24 hours" in viewer.get("/")


def test_a_queue_that_nobody_serves_is_named(viewer: Admin) -> None:
    heartbeat(queues='["default"]')
    job = scheduling.schedule(fake_jobs.nothing, {}, queue="nobody")
    assert "nobody" not in viewer.get("/")
    Job.objects.filter(pk=job.pk).update(scheduled_time=timezone.now() - timedelta(seconds=61))
    page = viewer.get("/")
    assert "No live worker serves queue nobody. 1 job waits there since" in page
    assert f"the oldest is {job.pk} (nothing)" in page


def test_each_sees_only_what_they_may(admin_of: AdminOf) -> None:
    job_row("EXCEPTION", exception_type="ValueError")
    trail.add(Deed.SCHEDULED, who="anna", origin="10.0.0.1", job_id=1)
    page = admin_of("jobs.view_heartbeat").get("/")
    assert "live workers" in page
    assert "Workers" in page
    for words in ("running", "locks held", "ValueError", "anna", "Audit trail", "Schedules"):
        assert words not in page


def test_a_stranger_is_asked_to_log_in(viewer: Admin) -> None:
    viewer.client.logout()
    for path in ("/", "/jobs/job/", "/jobs/job/abort/?ids=1", "/locks/lock/clear/?ids=1", "/jobs/job/1/result/"):
        response = viewer.client.get(f"/admin{path}")
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")


def test_workers_alive_first_with_what_they_do_and_the_dead_greyed(viewer: Admin) -> None:
    now = timezone.now()
    heartbeat("celery@dead", last_seen=now - timedelta(days=1), stopped_at=now - timedelta(days=1))
    alive = heartbeat("celery@alive", queues='["default", "bulk"]', concurrency=4)
    heartbeat("celery@silent", last_seen=now - timedelta(seconds=90))
    heartbeat("beat@web1", kind="beat")
    job = job_in(Status.RUNNING)
    Job.objects.filter(pk=job.pk).update(worker_id=alive.pk)
    page = viewer.get("/jobs/heartbeat/")
    for words in ("default, bulk 4", "✓ alive", "! silent 1 min 30 s ago", "stopped", "1 d 0 h ago", f"4 {job.pk} "):
        assert words in page, words
    assert page.index("celery@alive") < page.index("celery@dead")
    body = viewer.raw("/jobs/heartbeat/")
    assert body.count("is-dead") == 1
    living, silent = viewer.get("/jobs/heartbeat/?life=alive"), viewer.get("/jobs/heartbeat/?life=silent")
    assert "celery@dead" not in living
    assert "celery@silent" not in living
    assert "celery@silent" in silent
    assert "celery@alive" not in viewer.get("/jobs/heartbeat/?life=stopped&kind__exact=worker")


def test_nobody_edits_workers_or_the_audit_trail(boss: Admin) -> None:
    beat = heartbeat()
    audit_entries([5])
    for table, row in (("heartbeat", beat.pk), ("auditentry", 5)):
        boss.get(f"/jobs/{table}/add/", status=403)
        boss.post(f"/jobs/{table}/{row}/delete/", {"post": "yes"}, status=403)
        boss.post(f"/jobs/{table}/{row}/change/", {"who": "x"}, status=403)
        assert "delete_selected" not in boss.raw(f"/jobs/{table}/")


def test_the_latest_actions_name_who_did_what_to_what(viewer: Admin) -> None:
    trail.add(Deed.CLEARED, who="bob", origin="command line", lock_name="devices", job_id=42)
    trail.add(Deed.CHANGED, who="", origin="10.0.0.1", detail="user carl")
    page = viewer.get("/")
    assert "bob cleared lock devices" in page
    assert "Somebody changed user carl" in page


def test_the_audit_trail_is_found_by_job_person_lock_and_action(viewer: Admin) -> None:
    trail.add(Deed.SCHEDULED, who="anna", origin="10.0.0.1", job_id=41, detail="schedule probe")
    trail.add(Deed.CLEARED, who="bob", origin="command line", lock_name="devices", job_id=42)
    path = "/jobs/auditentry/"
    both = viewer.get(path)
    assert both.index("bob") < both.index("anna")
    for query, found, missing in (
        ("?q=41", "anna", "command line"),
        ("?q=DEVI", "command line", "anna"),
        ("?q=probe", "anna", "command line"),
        ("?action=cleared", "command line", "anna"),
        ("?time_from=1h&action=scheduled", "anna", "command line"),
    ):
        page = viewer.get(path + query)
        assert found in page, query
        assert missing not in page, query
    assert "anna" not in viewer.get(f"{path}?time_to=2020-01-01T00:00")
