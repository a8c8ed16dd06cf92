"""All milestones of a job are there afterwards, in order, including those that its row no longer shows."""

from datetime import timedelta

import pytest

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import milestones, transitions
from jobs.models import Job, JobMilestone
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.sql import store
from jobs.states import Status
from tests import fake_jobs
from tests.factory import claim, claimed, job_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


def told(job: Job) -> list[tuple[str, str]]:
    job.refresh_from_db()
    return [(reached.milestone.value, reached.detail) for reached in milestones.of(job)]


def test_a_job_that_went_straight_through_shows_its_milestones_without_rows_for_them() -> None:
    job = job_in(Status.FINISHED)
    assert told(job) == [("due", ""), ("started", "celery@test"), ("ended", "")]
    assert JobMilestone.objects.count() == 0


def test_a_job_for_later_shows_that_it_was_posted_before_it_is_due() -> None:
    due = database_now() + timedelta(hours=1)
    job = scheduling.schedule(fake_jobs.nothing, {}, at=due)
    assert told(job) == [("posted", ""), ("due", "")]
    many = scheduling.schedule_many(fake_jobs.nothing, [{}, {}], at=due)
    assert [told(one) for one in many] == [[("posted", ""), ("due", "")]] * 2


def test_a_run_that_is_judged_lost_after_its_end_gets_no_milestone() -> None:
    job = job_in(Status.RUNNING)
    seen = Job.objects.get(pk=job.pk)
    assert transitions.finish(Run.of(seen), Outcome(result=None))
    assert not transitions.end_lost(seen, Failure(type="WorkerLost", message="gone"))
    assert not JobMilestone.objects.filter(job=job).exists()


def test_a_wait_for_its_lock_names_the_lock_and_the_job_that_holds_it() -> None:
    holder = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    job = scheduling.schedule(fake_jobs.with_lock, {})
    claim(job)
    assert told(job) == [("due", ""), ("parked", f"lock devices, for job {holder.pk}")]


def test_a_job_that_was_retried_shows_each_of_its_attempts() -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    assert transitions.retry(claimed(job), due=-1, reason="the device was busy")
    assert transitions.finish(claimed(job), Outcome(result=None))
    attempt = [("started", "celery@test")]
    all_of_it = told(job)
    assert [each for each in all_of_it if each[0] != "due"] == [
        *attempt, ("retried", "the device was busy"), *attempt, ("ended", "")
    ]  # fmt: skip
    assert all_of_it.count(("due", "")) == 2


def test_a_retry_of_a_job_that_was_told_to_stop_leaves_no_milestone() -> None:
    run = claimed(scheduling.schedule(fake_jobs.nothing, {}))
    transitions.abort(run.job_id, reason="enough", by="ann")
    assert transitions.retry(run, due=0, reason="again")
    assert [each for each, _ in told(Job.objects.get())] == ["due", "started", "asked to stop", "ended"]


def test_a_job_whose_worker_was_lost_shows_that_and_what_became_of_it() -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    run = claimed(job)
    reason = next(reason for reason in EndReason if reason.reruns)
    Job.objects.filter(pk=job.pk).update(rerun_if_lost=True)
    assert transitions.lose(job.pk, run.run_token, type=str(reason.value), message="gone")
    second = claimed(job)
    Job.objects.filter(pk=job.pk).update(rerun_if_lost=False)
    assert transitions.lose(job.pk, second.run_token, type=str(reason.value), message="gone again")
    assert [each for each in told(job) if each[0] not in ("due", "started")] == [
        ("lost", "gone"), ("rerun", ""), ("ended", str(reason.value)), ("lost", "gone again")
    ]  # fmt: skip


def test_a_job_that_is_aborted_twice_shows_the_first_reason_only() -> None:
    job = job_in(Status.RUNNING)
    transitions.abort(job.pk, reason="enough", by="ann")
    transitions.abort(job.pk, reason="more", by="bob")
    assert told(job)[2:] == [("asked to stop", "enough (aborted by ann)")]


def test_milestones_are_deleted_with_their_job_and_one_that_ended_early_was_never_due() -> None:
    job = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=1))
    assert told(job) == [("posted", ""), ("due", "")]
    transitions.abort(job.pk, reason="enough", by="ann")
    assert told(job) == [("posted", ""), ("ended", "JobAborted")]
    store().delete([job.pk])
    assert JobMilestone.objects.count() == 0
