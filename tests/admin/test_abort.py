"""Aborting in the admin: a page asks first, only some users may, and the audit trail records it."""

import re

from jobs.models import AuditEntry, Job
from jobs.states import Status
from tests.admin.conftest import VIEWS, Admin, AdminOf
from tests.factory import job_in

ABORT = "/jobs/job/abort/"


def test_the_action_asks_before_it_aborts(boss: Admin) -> None:
    jobs = [job_in(Status.SCHEDULED), job_in(Status.RUNNING), job_in(Status.FINISHED)]
    chosen = {"action": "abort_selected", "index": "0", "_selected_action": [str(job.pk) for job in jobs]}
    response = boss.client.post("/admin/jobs/job/", chosen, follow=True)
    page = response.content.decode()
    assert "Abort 2 jobs?" in page
    assert "1 of the selected jobs cannot be aborted" in page
    assert [job.status for job in Job.objects.order_by("id")] == ["SCHEDULED", "RUNNING", "FINISHED"]


def test_confirmed_each_is_aborted_with_reason_and_name(boss: Admin) -> None:
    waiting, running = job_in(Status.SCHEDULED), job_in(Status.RUNNING)
    page = boss.post(f"{ABORT}?ids={waiting.pk},{running.pk}", {"reason": "wrong window"})
    assert f"Aborted: job {waiting.pk}." in page
    assert f"Told to stop at the next safe point: job {running.pk}." in page
    waiting.refresh_from_db()
    running.refresh_from_db()
    assert (waiting.status, waiting.exception_type) == ("EXCEPTION", "JobAborted")
    assert running.abort_reason == "wrong window (aborted by boss)"
    assert "wrong window (aborted by boss)" in boss.get(f"/jobs/job/{waiting.pk}/change/")


def test_the_audit_trail_says_who_and_from_where(boss: Admin) -> None:
    job = job_in(Status.SCHEDULED)
    boss.post(f"{ABORT}?ids={job.pk}", {"reason": "wrong window"})
    entry = AuditEntry.objects.get(action="aborted")
    assert (entry.who, entry.origin, entry.action, entry.job_id) == ("boss", "127.0.0.1", "aborted", job.pk)
    assert entry.detail == "wrong window"


def test_without_a_reason_it_says_where_it_came_from(boss: Admin) -> None:
    job = job_in(Status.SCHEDULED)
    boss.post(f"{ABORT}?ids={job.pk}", {"reason": "  "})
    assert "Aborted in the admin (aborted by boss)" in boss.get(f"/jobs/job/{job.pk}/change/")


def test_the_button_is_there_only_while_it_can_be_aborted(boss: Admin) -> None:
    for status in Status:
        job = job_in(status)
        has_button = f"{ABORT}?ids={job.pk}" in boss.raw(f"/jobs/job/{job.pk}/change/")
        assert has_button == (status in {Status.SCHEDULED, Status.RUNNING})


def test_a_job_told_to_stop_is_not_told_again(boss: Admin) -> None:
    job = job_in(Status.RUNNING)
    boss.post(f"{ABORT}?ids={job.pk}", {"reason": "first"})
    assert "Nothing to abort" in boss.post(f"{ABORT}?ids={job.pk}", {"reason": "second"})
    job.refresh_from_db()
    assert job.abort_reason == "first (aborted by boss)"
    assert AuditEntry.objects.filter(action="aborted").count() == 1


def test_a_user_who_may_not_abort_is_offered_nothing_and_refused(viewer: Admin) -> None:
    job = job_in(Status.SCHEDULED)
    assert "abort_selected" not in viewer.raw("/jobs/job/")
    assert not re.search(r"Abort…", viewer.get(f"/jobs/job/{job.pk}/change/"))
    viewer.get(f"{ABORT}?ids={job.pk}", status=403)
    viewer.post(f"{ABORT}?ids={job.pk}", {"reason": "x"}, status=403)
    job.refresh_from_db()
    assert job.status == "SCHEDULED"


def test_the_permission_to_abort_is_enough_to_abort(admin_of: AdminOf) -> None:
    job = job_in(Status.SCHEDULED)
    admin_of(*VIEWS, "jobs.abort_job").post(f"{ABORT}?ids={job.pk}", {"reason": ""})
    job.refresh_from_db()
    assert job.exception_type == "JobAborted"


def test_a_get_aborts_nothing_and_nonsense_is_no_error(boss: Admin) -> None:
    job = job_in(Status.SCHEDULED)
    boss.get(f"{ABORT}?ids={job.pk}")
    for ids in ("", "x", "99", "-1", "9" * 40, "%00"):
        assert "Nothing to abort" in boss.post(f"{ABORT}?ids={ids}")
    job.refresh_from_db()
    assert job.status == "SCHEDULED"


def test_all_across_pages_means_the_selected_ones_only(boss: Admin) -> None:
    """A forged ``select_across`` must not reach every job there is."""
    first, _second = job_in(Status.SCHEDULED), job_in(Status.SCHEDULED)
    chosen = {
        "action": "abort_selected",
        "index": "0",
        "select_across": "1",
        "_selected_action": [str(first.pk)],
    }
    assert f"Abort job {first.pk}?" in boss.client.post("/admin/jobs/job/", chosen, follow=True).content.decode()


def test_aborting_needs_the_forms_token(boss: Admin) -> None:
    job = job_in(Status.SCHEDULED)
    boss.client.handler.enforce_csrf_checks = True
    boss.post(f"{ABORT}?ids={job.pk}", {"reason": "x"}, status=403)
    job.refresh_from_db()
    assert job.status == "SCHEDULED"
