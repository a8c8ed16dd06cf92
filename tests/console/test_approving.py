"""A second person approves or rejects a job on its page in the console."""

import pytest

from jobs.dispatch import scheduling
from jobs.models import AuditEntry, Job, JobLink
from tests import fake_jobs
from tests.console.conftest import Person, PersonOf
from tests.factory import job_row


def waiting_of(person: Person) -> Job:
    name, author = person.user.get_username(), person.user.pk
    return scheduling.schedule(fake_jobs.guarded, {}, scheduled_by=name, author_id=author, comment="<b>now</b>")


@pytest.fixture
def eve(person_of: PersonOf) -> Person:
    """May see and approve."""
    return person_of("jobs.view_job", "jobs.approve_job", name="eve")


def test_a_second_person_approves(ann: Person, eve: Person) -> None:
    job, shown = waiting_of(ann), job_row()
    JobLink.objects.create(job=job, of_id=shown.pk, kind="plan")
    assert "It waits for approval by another person" in eve.read(f"/jobs/{job.pk}")
    said = eve.read(f"/jobs/{job.pk}/approve")
    assert "It waits for another person: it always does" in said
    assert f"After applies what #{shown.pk} showed" in said
    assert "<b>now</b>" in said
    job.refresh_from_db()
    assert job.unapproved
    assert f"Job {job.pk} is approved." in eve.send(
        f"/jobs/{job.pk}/approve", {"approve": "1", "comment": "looks right"}
    )
    assert not Job.objects.filter(unapproved=True).exists()
    assert (job.approval.by, job.approval.comment) == ("eve", "looks right")
    assert "Approved" in eve.read(f"/jobs/{job.pk}").partition("Timeline")[2]
    entry = AuditEntry.objects.get(action="approved")
    assert (entry.who, entry.origin, entry.job_id) == ("eve", "127.0.0.1", job.pk)
    assert "approve" not in eve.markup(f"/jobs/{job.pk}").partition('class="actions"')[2].partition("</p>")[0]


def test_a_second_person_rejects(ann: Person, eve: Person) -> None:
    job = waiting_of(ann)
    assert f"Job {job.pk} is rejected." in eve.send(f"/jobs/{job.pk}/approve", {"reject": "1", "comment": "not today"})
    job.refresh_from_db()
    assert (job.status, job.exception_type) == ("EXCEPTION", "JobRejected")
    assert "not today" in eve.read(f"/jobs/{job.pk}")


def test_nobody_approves_their_own(person_of: PersonOf) -> None:
    bob = person_of("jobs.view_job", "jobs.add_job", "jobs.approve_job", name="bob")
    job = waiting_of(bob)
    page = bob.markup(f"/jobs/{job.pk}/approve")
    assert "You had a part in scheduling this job" in page
    assert 'name="approve"' not in page
    assert "Not approved: Missing permission" in bob.send(f"/jobs/{job.pk}/approve", {"approve": "1"})
    job.refresh_from_db()
    assert job.unapproved
    assert AuditEntry.objects.filter(action="refused", who="bob").count() == 1


def test_without_the_permission_there_is_no_button_and_no_way(ann: Person) -> None:
    job = waiting_of(ann)
    path = f"/jobs/{job.pk}/approve"
    assert path not in ann.markup(f"/jobs/{job.pk}")
    assert "jobs.approve_job" in ann.read(path, status=403)
    ann.send(path, {"approve": "1"}, status=403)
    job.refresh_from_db()
    assert job.unapproved


def test_what_does_not_wait_is_reported(eve: Person) -> None:
    job = job_row("SCHEDULED")
    assert "does not wait for approval" in eve.read(f"/jobs/{job.pk}/approve", status=409)
    assert "Not approved" in eve.send(f"/jobs/{job.pk}/approve", {"approve": "1"})
    assert "no job" in eve.read("/jobs/4711/approve", status=404)


def test_it_counts_as_waiting_and_can_be_aborted_with_all(ann: Person) -> None:
    job = waiting_of(ann)
    assert "Scheduled 1" in ann.read("/jobs")
    assert f"Abort job {job.pk}?" in ann.read("/jobs/abort?all=1")
