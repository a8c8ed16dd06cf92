"""How many jobs a form may act on, and that a job it can't be done to does not stop the others."""

import pytest

from jobs.models import AuditEntry, IdempotencyKey, Job
from jobs.states import Status
from tests import fake_jobs
from tests.console.conftest import Person
from tests.factory import job_in, job_row

GONE = 99_999


def ended() -> Job:
    return job_row(task_name=fake_jobs.echo.name, start_arguments='{"value": "x"}', function_name="echo")


def newest() -> Job:
    return Job.objects.order_by("-id")[0]


def test_what_can_not_be_aborted_stops_none_of_the_others(ann: Person) -> None:
    over, waits = job_in(Status.FINISHED), job_in(Status.SCHEDULED)
    said = ann.send("/jobs/abort", {"ids": f"{GONE},{waits.pk},{over.pk}"})
    assert f"Not aborted: No job with id {GONE}" in said
    assert f"Not aborted: Job id {over.pk} is in state FINISHED" in said
    assert f"Aborted: job {waits.pk}." in said
    assert "Told to stop" not in said
    assert "Nothing was selected" not in said
    assert not AuditEntry.objects.filter(action="refused").exists(), "nobody was refused a right"


def test_each_job_that_can_not_run_again_is_reported(ann: Person) -> None:
    job = ended()
    said = ann.send("/jobs/failed", {"ids": f"{GONE},{job.pk}"})
    assert f"Not scheduled: No job with id {GONE}" in said
    assert f"Not scheduled: Job {job.pk}" in said


def test_only_so_many_run_again_at_once(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.pages.actions.RUNS_AT_ONCE", 2)
    said = ann.send("/jobs/failed", {"ids": f"{GONE},{GONE + 1},{GONE + 2}"})
    assert said.count("Not scheduled") == 2


@pytest.mark.parametrize("kind", ["again", "failed", "plan"])
def test_a_job_that_is_gone_does_not_run_again(ann: Person, kind: str) -> None:
    ann.read(f"/jobs/{GONE}/run/{kind}", status=404)
    ann.send(f"/jobs/{GONE}/run/{kind}", status=404)
    assert not Job.objects.exists()


def test_what_one_types_fits_its_column(ann: Person) -> None:
    """PostgreSQL refuses what is longer."""
    job = ended()
    ann.send(f"/jobs/{job.pk}/run/again", {"comment": f" {'x' * 300} ", "once": "k" * 300})
    assert newest().comment == "x" * 255
    assert IdempotencyKey.objects.get().key == f"{'k' * 64} {job.pk}"


def test_a_form_is_for_each_of_its_jobs(ann: Person) -> None:
    first, second = ended(), ended()
    for job in (first, second, first):
        ann.send(f"/jobs/{job.pk}/run/again", {"once": "k"})
    assert {job.link.of_id for job in Job.objects.filter(status="SCHEDULED")} == {first.pk, second.pk}
    assert Job.objects.count() == 4
