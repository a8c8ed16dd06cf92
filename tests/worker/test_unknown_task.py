"""A job whose task no worker knows ends after other workers have had their chance."""

from datetime import timedelta
from typing import Any

import pytest

from cnaasjobs.db.clock import database_now
from jobs.lifecycle import milestones, transitions
from jobs.models import Job, JobMilestone
from jobs.states import Milestone
from jobs.testing import exception_of
from jobs.worker.unknown_task import end_if_unknown
from tests import fake_jobs
from tests.factory import claimed

pytestmark = pytest.mark.django_db(transaction=True)


def job_due_since(seconds: float) -> Job:
    job = fake_jobs.nothing.schedule()
    due = database_now() - timedelta(seconds=seconds)
    Job.objects.filter(pk=job.pk).update(task_name="gone.task", scheduled_time=due)
    return job


def refused(job: Job, *, since: float, task_name: str = "gone.task") -> bool:
    """By a worker, so many seconds after the first that did; whether that ended it."""
    refused = JobMilestone.objects.filter(job=job, milestone=Milestone.REFUSED)
    refused.update(time=database_now() - timedelta(seconds=since))
    return end_if_unknown(job.pk, task_name=task_name, worker="w1")


def test_a_job_of_an_unknown_task_ends_after_a_while() -> None:
    job = job_due_since(70)
    assert [refused(job, since=seconds) for seconds in (0, 20, 50)] == [False] * 3
    assert refused(job, since=70)
    job.refresh_from_db()
    assert (job.status, job.exception_type) == ("EXCEPTION", "UnknownTask")
    assert [past.milestone for past in milestones.of(job) if past.milestone is Milestone.REFUSED] == [Milestone.REFUSED]
    failure = exception_of(job)
    assert failure is not None
    assert "gone.task" in failure["message"]


def test_one_that_waited_for_long_before_its_first_refusal_has_the_same_time() -> None:
    """For a slot, or for its lock: then the first worker that is free may be an old one."""
    assert not refused(job_due_since(86400), since=0)


def test_its_time_begins_anew_when_a_worker_that_knows_it_made_it_wait() -> None:
    job = job_due_since(70)
    assert not refused(job, since=0)
    JobMilestone.objects.filter(job=job).update(time=database_now() - timedelta(seconds=70))
    milestones.add(job.pk, Milestone.PARKED)
    assert not end_if_unknown(job.pk, task_name="gone.task", worker="w1")


def test_a_message_before_its_time_or_without_need_counts_for_nothing() -> None:
    early, parked = job_due_since(-60), job_due_since(70)
    Job.objects.filter(pk=parked.pk).update(dispatched_at=None)
    assert not refused(early, since=0)
    assert not refused(parked, since=0)
    assert not JobMilestone.objects.exists()


def test_a_message_of_another_task_is_not_its_end() -> None:
    job = job_due_since(70)
    assert not refused(job, since=0)
    assert not refused(job, since=70, task_name="another.task")
    assert not end_if_unknown(10**6, task_name="gone.task", worker="w1")
    job.refresh_from_db()
    assert job.status == "SCHEDULED"


def test_one_that_a_newer_worker_has_run_meanwhile_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at it and its end it was claimed, and now waits for another attempt."""
    job = job_due_since(70)

    def ended(*args: Any, **options: Any) -> bool:
        assert transitions.retry(claimed(Job.objects.get(pk=job.pk)), due=3600, reason="not now")
        return cancel(*args, **options)

    assert not refused(job, since=0)
    JobMilestone.objects.update(time=database_now() - timedelta(seconds=70))
    cancel = transitions.cancel
    monkeypatch.setattr(transitions, "cancel", ended)
    assert not end_if_unknown(job.pk, task_name="gone.task", worker="w1")
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("SCHEDULED", 1)
