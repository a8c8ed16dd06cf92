"""What ``manage.py jobs`` and ``manage.py locks`` change, and what they write to the audit trail."""

import getpass
import json

import pytest
from django.core.management import CommandError

from jobs.dispatch import scheduling
from jobs.models import AuditEntry, Job
from jobs.states import Status
from jobs.task import JobContext, job
from locks.models import Lock
from tests import fake_jobs
from tests.cli.shell import ends_with, run
from tests.factory import hold_lock, job_in, job_row

pytestmark = pytest.mark.django_db(transaction=True)


def deeds() -> list[tuple[str, str, str, int | None, str | None]]:
    return list(AuditEntry.objects.order_by("id").values_list("who", "origin", "action", "job_id", "lock_name"))


def test_abort_is_done_in_the_name_of_the_shells_user() -> None:
    me = getpass.getuser()
    waiting, running = job_in(Status.SCHEDULED), job_in(Status.RUNNING)
    shown = run("jobs", "abort", waiting.pk, running.pk, "--reason", "wrong window")
    assert f"job {waiting.pk}: ended" in shown
    assert f"job {running.pk}: told to stop at its next safe point" in shown
    running.refresh_from_db()
    assert running.abort_reason == f"wrong window (aborted by {me})"
    assert deeds() == [(me, "command line", "aborted", job.pk, None) for job in (waiting, running)]


@pytest.mark.parametrize("reason", [[], ["--reason", " "]])
def test_abort_without_a_reason_says_where_it_came_from(reason: list[str]) -> None:
    waiting = job_in(Status.SCHEDULED)
    run("jobs", "abort", waiting.pk, *reason)
    waiting.refresh_from_db()
    assert f"Aborted at the command line (aborted by {getpass.getuser()})" in (waiting.outcome.exception or "")


def test_what_cannot_be_aborted_is_reported_and_stops_no_other() -> None:
    ended, waiting = job_row(), job_in(Status.SCHEDULED)
    with pytest.raises(CommandError, match=f"Job id {ended.pk} is in state FINISHED") as refused:
        run("jobs", "abort", ended.pk, waiting.pk)
    assert refused.value.returncode == 1
    waiting.refresh_from_db()
    assert waiting.exception_type == "JobAborted"
    assert ends_with("jobs", "abort", 4711) == 2


def test_a_job_is_started_by_its_name() -> None:
    about = ("--comment", "night", "--ticket", "NOC-1", "--at", "2099-01-01 02:00")
    started = json.loads(run("jobs", "start", fake_jobs.add.name, "a=1", "b=2", *about, "--json"))
    assert (started["function_name"], started["start_arguments"]) == ("add", {"a": 1, "b": 2})
    assert (started["comment"], started["ticket_ref"]) == ("night", "NOC-1")
    assert started["scheduled_time"] == "2099-01-01T02:00:00.000000"
    me = getpass.getuser()
    assert started["scheduled_by"] == me
    assert deeds() == [(me, "command line", "scheduled", started["id"], None)]
    said = run("jobs", "start", "echo", "value=sw1=a", "dry_run=true")  # by what its jobs show
    job = Job.objects.latest("id")
    assert said == f"job {job.pk}: echo (dry_run)\n"
    assert json.loads(job.start_arguments) == {"value": "sw1=a", "dry_run": True}
    for depth in (65, 600, 5000):
        with pytest.raises(CommandError, match="is nested deeper than 64 levels"):
            run("jobs", "start", "echo", f"value={'[' * depth}1{']' * depth}")
    run("jobs", "start", "by_position", "first=4.30", "second=2")  # a text, and a number
    assert json.loads(Job.objects.latest("id").start_arguments) == {"first": "4.30", "second": 2}


def same(ctx: JobContext) -> None: ...


SAME = [job(name=f"tests.{where}.same")(same) for where in ("one", "two")]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["nothing_such"], r"No job is called 'nothing_such'\. The jobs are .*tests\.fake_jobs\.add"),
        (["same"], r"Several jobs are called same: tests\.one\.same, tests\.two\.same"),
        (["add", "a=1"], "missing a required"),
        (["add", "a=1", "b=x"], "b is 'x': Input should be a valid integer"),
        (["add", "a"], "'a' is not name=value"),
        (["add", "--at", "soon"], "'soon' must be a time like"),
    ],
)
def test_what_cannot_be_started_is_reported(typed: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run("jobs", "start", *typed)
    assert not Job.objects.exists()
    assert deeds() == []


def test_a_job_is_run_again_with_its_arguments() -> None:
    job = scheduling.schedule(fake_jobs.add, {"a": 1, "b": 2}, comment="night", ticket_ref="NOC-1", queue="fast")
    assert ends_with("jobs", "rerun", job.pk) == 1  # it has not ended
    run("jobs", "abort", job.pk)
    again = json.loads(run("jobs", "rerun", job.pk, "--json"))
    assert (again["function_name"], again["start_arguments"]) == ("add", {"a": 1, "b": 2})
    me = getpass.getuser()
    assert (again["scheduled_by"], again["comment"], again["ticket_ref"]) == (me, "night", "NOC-1")
    assert Job.objects.get(pk=again["id"]).queue == "fast"
    assert deeds()[-1] == (me, "command line", "scheduled", again["id"], None)
    assert AuditEntry.objects.latest("id").detail == f"add: job {job.pk} again"
    assert f"as job {job.pk}" in run("jobs", "rerun", job.pk, "--comment", "by day")
    assert Job.objects.latest("id").comment == "by day"
    assert ends_with("jobs", "rerun", 4711) == 2


def test_one_whose_task_nobody_knows_is_not_run_again() -> None:
    job = job_row(task_name="gone.task")
    with pytest.raises(CommandError, match=r"No process here knows the task gone\.task"):
        run("jobs", "rerun", job.pk)


def test_one_without_devices_of_its_own_is_run_again_as_a_whole_only() -> None:
    job = job_row(task_name=fake_jobs.nothing.name)
    with pytest.raises(CommandError, match="can only be run again as a whole"):
        run("jobs", "rerun", job.pk, "--only-failed")


def test_a_lock_is_cleared() -> None:
    job = job_in(Status.RUNNING)
    hold_lock("devices", job)
    assert f"cleared; job {job.pk} held it" in run("locks", "clear", "devices")
    assert Lock.objects.get(name="devices").holder_id is None
    assert deeds() == [(getpass.getuser(), "command line", "cleared", job.pk, "devices")]
    assert ends_with("locks", "clear", "devices") == 2
