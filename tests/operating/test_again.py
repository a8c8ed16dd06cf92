"""Another job after one that has ended."""

import json

import pytest
from django.db import transaction
from pytest_django import Settings

from jobs import follow_ups
from jobs.audit.trail import By
from jobs.errors import JobNotFound
from jobs.follow_ups import FollowUp, FollowUps
from jobs.models import AuditEntry, Job, JobLink
from jobs.operating import again
from jobs.operating.again import CannotRunAgain, NoRoom
from jobs.sql import store
from jobs.states import CameOf, Status
from tests import fake_jobs
from tests.factory import job_in, job_row

pytestmark = pytest.mark.django_db

ANN = By(who="ann", origin="10.0.0.7", user=None)


def value_of(job: Job) -> object:
    return json.loads(job.start_arguments)["value"]


class Half(FollowUps):
    """Of a task whose failed devices are known, and which never showed anything."""

    def on_the_failed(self, job: Job) -> FollowUp:
        return FollowUp(arguments={"value": "half"}, words=f"half of job {job.pk}", devices=2)


@pytest.fixture
def ended() -> Job:
    return job_row(
        task_name=fake_jobs.echo.name, start_arguments='{"value": "x"}', comment="first", ticket_ref="NOC-1", priority=3
    )


def test_a_job_can_be_run_once_more_as_it_was(ended: Job) -> None:
    job = again.run(again.proposal(ended.pk, CameOf.AGAIN), by=ANN)
    assert (value_of(job), job.comment, job.ticket_ref, job.priority) == ("x", "first", "NOC-1", 3)
    assert (job.scheduled_by, job.link.of_id, job.link.kind) == ("ann", ended.pk, "again")
    entry = AuditEntry.objects.get(job_id=job.pk)
    assert (entry.who, entry.origin, entry.detail) == ("ann", "10.0.0.7", f"echo: job {ended.pk} again")


def test_what_follows_a_job_is_known_to_the_app_of_its_task(ended: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(follow_ups._known, fake_jobs.echo.name, Half())
    proposed = again.proposal(ended.pk, CameOf.FAILED)
    assert (proposed.words, proposed.devices) == (f"half of job {ended.pk}", 2)
    job = again.run(proposed, by=ANN, comment="")
    assert (value_of(job), job.comment, job.link.kind) == ("half", "", "failed")
    assert AuditEntry.objects.get(job_id=job.pk).detail == f"echo: half of job {ended.pk}"
    with pytest.raises(CannotRunAgain, match="showed nothing that could be applied"):
        again.proposal(ended.pk, CameOf.PLAN)


def test_a_job_whose_app_knows_no_more_runs_as_a_whole_only(ended: Job) -> None:
    with pytest.raises(CannotRunAgain, match="can only be run again as a whole"):
        again.proposal(ended.pk, CameOf.FAILED)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.RUNNING])
def test_a_job_that_has_not_ended_is_refused(status: Status) -> None:
    with pytest.raises(CannotRunAgain, match=f"is in state {status}"):
        again.proposal(job_in(status).pk, CameOf.AGAIN)


def test_a_job_that_is_not_there_or_not_known_is_refused() -> None:
    with pytest.raises(JobNotFound):
        again.proposal(4711, CameOf.AGAIN)
    with pytest.raises(CannotRunAgain, match="No process here knows the task gone"):
        again.proposal(job_row(task_name="gone").pk, CameOf.AGAIN)


def test_nobody_may_have_more_waiting_jobs_than_allowed(settings: Settings) -> None:
    settings.CNAASJOBS_WAITING_PER_USER = 2
    job_row("SCHEDULED", scheduled_by="ann")
    for status in ("RUNNING", "FINISHED", "EXCEPTION"):
        job_row(status, scheduled_by="ann")
    again.require_room("ann")
    job_row("SCHEDULED", scheduled_by="ann")
    with pytest.raises(NoRoom, match="2 jobs of ann are already waiting"):
        again.require_room("ann")
    again.require_room("bob")


def test_a_jobs_link_is_deleted_with_it_and_not_with_the_job_that_it_came_of(ended: Job) -> None:
    first = again.run(again.proposal(ended.pk, CameOf.AGAIN), by=ANN)
    second = again.run(again.proposal(ended.pk, CameOf.AGAIN), by=ANN)
    with transaction.atomic():
        store().delete([ended.pk, first.pk])
    assert list(JobLink.objects.values_list("job_id", "of_id")) == [(second.pk, ended.pk)]
