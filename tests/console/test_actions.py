"""Actions on jobs: a page asks first, only some users may, exactly the jobs shown are affected."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import follow_ups
from jobs.follow_ups import CannotFollow, FollowUp, FollowUps
from jobs.models import AuditEntry, Job
from jobs.states import Status
from tests import fake_jobs
from tests.console.conftest import Person, PersonOf
from tests.factory import device_row, job_in, job_row

ECHO = fake_jobs.echo.name
HOSTILE = "<script>alert('x')</script>"


class AfterEcho(FollowUps):
    """Two devices were left undone; a dry run can be applied."""

    def may_apply(self, job: Job) -> bool:
        return "dry_run" in job.start_arguments

    def knows_failed(self) -> bool:
        return True

    def on_the_failed(self, job: Job) -> FollowUp:
        if job.comment == "whole":
            raise CannotFollow(f"Job {job.pk} left no device undone")
        return FollowUp(arguments={"value": "rest"}, words=f"what job {job.pk} left undone", devices=2)

    def as_shown(self, job: Job) -> FollowUp:
        return FollowUp(arguments={"value": "plan", "dry_run": False}, words=f"what job {job.pk} showed", devices=3)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(follow_ups._known, ECHO, AfterEcho())


def ended(**fields: Any) -> Job:
    return job_row(**{"task_name": ECHO, "start_arguments": '{"value": "x"}', "function_name": "echo", **fields})


def ids_of(page: str) -> str:
    found = re.search(r'name="ids" value="([^"]*)"', page)
    return found[1] if found else ""


def newest() -> Job:
    return Job.objects.order_by("-id")[0]


# --- abort ------------------------------------------------------------------------------------------------------------


def test_aborting_asks_first_and_says_what_will_happen(ann: Person) -> None:
    waits, runs, over = job_in(Status.SCHEDULED), job_in(Status.RUNNING), job_in(Status.FINISHED)
    job_in(Status.SCHEDULED)  # which nobody chose
    path = f"/jobs/abort?id={waits.pk}&id={runs.pk}&id={over.pk}&id=99999&id=x"
    said = ann.read(path)
    assert "Abort 2 jobs?" in said
    assert "1 running: told to stop" in said
    assert "1 waiting: ended at once" in said
    assert "2 of the selected jobs can't be aborted" in said
    assert "jobs match" not in said
    assert sorted(Job.objects.values_list("status", flat=True)) == ["FINISHED", "RUNNING", "SCHEDULED", "SCHEDULED"]
    assert ids_of(ann.markup(path)) == f"{runs.pk},{waits.pk}"


def test_aborting_is_done_by_the_form_and_reported(ann: Person) -> None:
    waits, runs, other = job_in(Status.SCHEDULED), job_in(Status.RUNNING), job_in(Status.SCHEDULED)
    said = ann.send("/jobs/abort", {"ids": f"{runs.pk},{waits.pk}", "reason": "wrong window"})
    assert f"Aborted: job {waits.pk}." in said
    assert f"Told to stop before the next device: job {runs.pk}." in said
    waits.refresh_from_db()
    runs.refresh_from_db()
    assert (waits.status, waits.exception_type) == ("EXCEPTION", "JobAborted")
    other.refresh_from_db()
    assert other.status == "SCHEDULED"
    assert runs.abort_reason == "wrong window (aborted by ann)"
    entries = AuditEntry.objects.filter(action="aborted").values_list("who", "origin", "detail")
    assert set(entries) == {("ann", "127.0.0.1", "wrong window")}


def test_one_job_is_aborted_from_its_page_and_back(ann: Person) -> None:
    job = job_in(Status.SCHEDULED)
    assert f'href="/jobs/abort?id={job.pk}"' in ann.markup(f"/jobs/{job.pk}")
    assert f"Abort job {job.pk}?" in ann.read(f"/jobs/abort?id={job.pk}")
    said = ann.send("/jobs/abort", {"ids": str(job.pk), "reason": ""})
    assert f"Aborted: job {job.pk}." in said
    assert "Aborted in the console (aborted by ann)" in said
    assert "/jobs/abort" not in ann.markup(f"/jobs/{job.pk}")
    again = ann.send("/jobs/abort", {"ids": str(job.pk)})
    assert f"Not aborted: Job id {job.pk} is in state EXCEPTION" in again


def test_all_that_match_are_those_that_were_shown(ann: Person) -> None:
    mine = [job_row("SCHEDULED", scheduled_by="bob").pk for _ in range(2)]
    running = job_row("RUNNING", scheduled_by="bob", parked=False)
    mine.append(job_row("SCHEDULED", scheduled_by="bob").pk)
    others = [job_row("SCHEDULED", scheduled_by="eve"), job_row("RUNNING", scheduled_by="bob", abort_reason="told")]
    page = ann.markup("/jobs/abort?all=1&q=by:bob")
    assert "Abort 4 jobs?" in page
    assert ids_of(page) == ",".join(map(str, sorted([*mine, running.pk], reverse=True)))
    later = job_row("SCHEDULED", scheduled_by="bob")
    ann.send("/jobs/abort", {"ids": ids_of(page), "q": "by:bob"})
    untouched = Job.objects.filter(pk__in=[later.pk, *(job.pk for job in others)])
    assert sorted(untouched.values_list("status", flat=True)) == ["RUNNING", "SCHEDULED", "SCHEDULED"]


def test_of_very_many_the_server_says_how_many(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.pages.actions.AT_ONCE", 2)
    made = [job_row("SCHEDULED").pk for _ in range(5)]
    page = ann.markup("/jobs/abort?all=1")
    assert "5 jobs match. These are the newest of them" in page
    assert ids_of(page) == f"{made[4]},{made[3]}"
    ann.send("/jobs/abort", {"ids": ",".join(map(str, made))})
    assert Job.objects.filter(status="SCHEDULED").count() == 3


def test_parked_sent_and_later_ones_all_match(ann: Person) -> None:
    job_row("SCHEDULED", lock_name="devices", parked=True)
    job_row("SCHEDULED", dispatched_at="2025-11-24T12:00:00Z")
    job_row("SCHEDULED", scheduled_time="2099-11-24T12:00:00Z")
    assert "Abort 3 jobs?" in ann.read("/jobs/abort?all=1&q=status:scheduled")


@pytest.mark.parametrize("path", ["abort?", "failed?", "abort?id=x&id=-1&id=%00", "abort?all=1&q=by:x"])
def test_nothing_to_abort_or_to_run_is_reported(ann: Person, path: str) -> None:
    words = "Only jobs that wait" if "all=" in path else "No job is selected"
    assert f"Nothing to do {words}" in ann.read(f"/jobs/{path}")


def test_a_search_that_cannot_be_understood_is_reported_by_each_page_that_asks(ann: Person) -> None:
    job_in(Status.SCHEDULED)
    for path in ("/jobs/abort", "/jobs/failed"):
        assert "there is no colour:" in ann.read(f"{path}?all=1&q=colour:red", status=400)


@pytest.mark.parametrize("data", [{}, {"ids": ""}, {"ids": "x,,-1,\x00"}, {"ids": "9" * 30}, {"all": "1", "q": ""}])
def test_a_form_that_names_nothing_aborts_nothing(ann: Person, data: dict[str, str]) -> None:
    job = job_in(Status.SCHEDULED)
    assert "Nothing was selected" in ann.send("/jobs/abort", data)
    job.refresh_from_db()
    assert job.status == "SCHEDULED"


# --- run again --------------------------------------------------------------------------------------------------------


def test_running_again_asks_first(ann: Person) -> None:
    job = ended(comment="nightly", ticket_ref="NOC-1")
    said = ann.read(f"/jobs/{job.pk}/run/again")
    assert f"Run job {job.pk} again?" in said
    assert '{"value": "x"}' in said
    assert Job.objects.count() == 1


def test_running_again_leads_to_the_new_job(ann: Person) -> None:
    job = ended(comment="nightly", ticket_ref="NOC-1")
    said = ann.send(f"/jobs/{job.pk}/run/again", {"comment": "by day"})
    made = newest()
    assert f"Scheduled: job {made.pk}, echo." in said
    assert (made.scheduled_by, made.comment, made.ticket_ref, made.link.of_id) == ("ann", "by day", "NOC-1", job.pk)
    assert json.loads(made.start_arguments)["value"] == "x"
    entry = AuditEntry.objects.get(action="scheduled", job_id=made.pk)
    assert (entry.who, entry.origin, entry.detail) == ("ann", "127.0.0.1", f"echo: job {job.pk} again")
    assert f"#{job.pk} run again" in ann.read(f"/jobs/{made.pk}")


def test_a_job_is_run_again_on_what_it_left_undone(ann: Person) -> None:
    job = ended()
    device_row(job, "sw1", reason="timed out")
    assert f"/jobs/{job.pk}/run/failed" in ann.markup(f"/jobs/{job.pk}")
    assert "Devices 2" in ann.read(f"/jobs/{job.pk}/run/failed")
    ann.send(f"/jobs/{job.pk}/run/failed", {"comment": ""})
    made = newest()
    assert (json.loads(made.start_arguments)["value"], made.link.kind) == ("rest", "failed")


def test_what_a_dry_run_showed_is_applied(ann: Person) -> None:
    job = ended(start_arguments='{"value": "x", "dry_run": true}')
    assert "Apply what this dry run showed" in ann.read(f"/jobs/{job.pk}")
    said = ann.read(f"/jobs/{job.pk}/run/plan")
    assert f"This changes devices. Each is changed only as job {job.pk} showed" in said
    assert "Devices 3" in said
    ann.send(f"/jobs/{job.pk}/run/plan", {"comment": "go"})
    made = newest()
    assert (json.loads(made.start_arguments), made.link.kind) == ({"value": "plan", "dry_run": False}, "plan")


def test_what_cannot_be_done_is_reported(ann: Person) -> None:
    running, whole, unknown = job_in(Status.RUNNING), ended(comment="whole"), ended(task_name="gone")
    assert "is in state RUNNING" in ann.read(f"/jobs/{running.pk}/run/again", status=409)
    assert "left no device undone" in ann.read(f"/jobs/{whole.pk}/run/failed", status=409)
    assert "No process here knows the task gone" in ann.read(f"/jobs/{unknown.pk}/run/again", status=409)
    assert "Not scheduled: Job id" in ann.send(f"/jobs/{running.pk}/run/again")
    assert "Not scheduled: Job" in ann.send(f"/jobs/{whole.pk}/run/failed")
    assert Job.objects.count() == 3


def test_the_limit_of_waiting_jobs_holds_here_too(ann: Person, settings: Any) -> None:
    settings.CNAASJOBS_WAITING_PER_USER = 1
    job = ended()
    ann.send(f"/jobs/{job.pk}/run/again")
    assert "which is the limit" in ann.send(f"/jobs/{job.pk}/run/again")
    assert Job.objects.count() == 2


def test_several_are_run_again_on_what_failed(ann: Person) -> None:
    first, whole, second, well = ended(), ended(comment="whole"), ended(scheduled_by="bob"), ended()
    not_chosen = ended()
    for job in (first, whole, second, not_chosen):
        device_row(job, "sw1", reason="timed out")
    device_row(well, "sw1")
    chosen = "&".join(f"id={job.pk}" for job in (first, whole, second, well))
    page = ann.markup(f"/jobs/failed?{chosen}")
    assert ids_of(page) == f"{second.pk},{first.pk}"
    assert "left no device undone" in page
    assert "1 of the selected jobs" in page
    assert ids_of(ann.markup("/jobs/failed?all=1&q=by:bob")) == str(second.pk)
    ann.send("/jobs/failed", {"ids": f"99999,{ids_of(page)}"})  # one that is gone stops none of the others
    made = Job.objects.filter(status="SCHEDULED").order_by("-id")
    assert [job.link.of_id for job in made] == [first.pk, second.pk]
    assert "None of these jobs" in ann.read(f"/jobs/failed?id={well.pk}")


# --- who may ----------------------------------------------------------------------------------------------------------

ACTIONS: dict[str, Callable[[Job], str]] = {
    "jobs.abort_job": lambda job: "/jobs/abort",
    "jobs.add_job": lambda job: f"/jobs/{job.pk}/run/again",
}


@pytest.mark.parametrize("permission", ACTIONS)
def test_the_permission_sits_on_the_verb(person_of: PersonOf, permission: str) -> None:
    """Those with every other permission are refused, on the page that asks and on its form; the trail has the form."""
    others = {"jobs.view_job", "jobs.change_job", "jobs.delete_job", *ACTIONS} - {permission}
    bob, waits, over = person_of(*others, name="bob"), job_in(Status.SCHEDULED), ended()
    path = ACTIONS[permission](over)
    assert permission in bob.read(f"{path}?id={waits.pk}", status=403)
    assert permission in bob.send(path, {"ids": str(waits.pk)}, status=403)
    assert AuditEntry.objects.filter(action="refused", who="bob", detail__contains=permission).count() == 1
    waits.refresh_from_db()
    assert (waits.status, Job.objects.count()) == ("SCHEDULED", 2)
    for job in (waits, over):
        assert f'href="{path}' not in bob.markup(f"/jobs/{job.pk}")


@pytest.mark.parametrize("permission", ACTIONS)
def test_seeing_jobs_is_needed_too(person_of: PersonOf, permission: str) -> None:
    job = ended()
    person_of(permission, name="bob").send(ACTIONS[permission](job), status=403)


def test_running_several_again_needs_the_permission_too(person_of: PersonOf) -> None:
    viewer = person_of("jobs.view_job", "jobs.abort_job", name="bob")
    job = ended()
    device_row(job, "sw1", reason="timed out")
    viewer.send("/jobs/failed", {"ids": str(job.pk)}, status=403)
    assert Job.objects.count() == 1


@pytest.mark.parametrize("path", ["/jobs/abort", "/jobs/failed", "/jobs/{}/run/again", "/sign-out"])
def test_a_form_needs_its_token(ann: Person, path: str) -> None:
    job = ended()
    waits = job_in(Status.SCHEDULED)
    ann.client.handler.enforce_csrf_checks = True
    response = ann.client.post(path.format(job.pk), {"ids": str(waits.pk)}, headers={"Accept": "text/html"})
    assert response.status_code == 403
    assert "This form is too old" in response.content.decode()
    waits.refresh_from_db()
    assert (waits.status, Job.objects.count()) == ("SCHEDULED", 2)


def test_other_verbs_are_refused(ann: Person) -> None:
    for method in ("put", "delete", "patch"):
        assert getattr(ann.client, method)("/jobs/abort").status_code == 405


@pytest.mark.usefixtures("db")
def test_hostile_text_is_text_here_too(ann: Person) -> None:
    job = job_row("SCHEDULED", scheduled_by=HOSTILE, comment=HOSTILE)
    over = ended(comment=HOSTILE, start_arguments=json.dumps({"value": HOSTILE}))
    device_row(over, "sw1", reason=HOSTILE)
    several = (f"/jobs/abort?id={job.pk}", f"/jobs/abort?all=1&q={HOSTILE}", f"/jobs/failed?id={over.pk}")
    for path in (*several, f"/jobs/{over.pk}/run/again", f"/jobs/{over.pk}/run/failed"):
        assert "<script>alert" not in ann.client.get(path).content.decode()
    ann.send("/jobs/abort", {"ids": str(job.pk), "reason": HOSTILE * 20 + "\x00"})
    job.refresh_from_db()
    assert job.exception_type == "JobAborted"
    assert "<script>alert" not in ann.markup(f"/jobs/{job.pk}")
    assert User.objects.count() == 1
