"""A job that code in a worker starts names what started it, and is in the audit trail."""

from uuid import uuid4

import pytest
from celery import current_app
from celery.app.trace import build_tracer

from jobs.dispatch import schedule
from jobs.models import AuditEntry, Job
from jobs.testing import perform, perform_job
from tests import fake_jobs

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_job_that_a_body_starts_names_the_job_that_started_it() -> None:
    first = perform_job(fake_jobs.starter)
    started = Job.objects.exclude(pk=first.pk)
    assert [job.scheduled_by for job in started] == [f"job {first.pk}"] * 2
    entries = AuditEntry.objects.values_list("action", "who", "origin", "job_id", "detail")
    assert sorted(entries) == [("scheduled", f"job {first.pk}", "worker", job.pk, "nothing") for job in started]


def test_a_successor_stays_its_persons_and_the_audit_trail_says_which_job_started_it() -> None:
    first = perform(schedule(fake_jobs.chained, {}, scheduled_by="ann"))
    successor = Job.objects.exclude(pk=first.pk).get()
    assert first.next_job_id == successor.pk
    assert successor.scheduled_by == "ann"
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.job_id, entry.detail) == (f"job {first.pk}", successor.pk, "nothing, for ann")


def test_a_task_that_is_no_job_starts_one() -> None:
    task, message_id = fake_jobs.plain_starter, str(uuid4())
    request = {"id": message_id, "hostname": "testing", "task": task.name}
    build_tracer(task.name, task, app=current_app)(message_id, (), {}, request)
    assert Job.objects.get().scheduled_by == AuditEntry.objects.get().who == "tests.fake_jobs.plain_starter"


def test_outside_a_worker_no_starter_is_named() -> None:
    assert fake_jobs.nothing.delay().scheduled_by is None
    assert not AuditEntry.objects.exists()
