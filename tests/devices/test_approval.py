"""Which live syncs wait for a second person, however they are started, and what clients see of those that wait."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from cnaasjobs.db.clock import database_now
from devices.approval import why_needed
from devices.tasks import sync_devices
from jobs.audit.trail import By
from jobs.beat.recurring import Recurring
from jobs.feed.objects import job_objects
from jobs.models import AuditEntry, Job, JobApproval, ScheduleOwner, TokenMaker
from jobs.operating import again
from jobs.schedulable import Ending
from jobs.states import CameOf, Status
from jobs.testing import perform, perform_job
from tests.admin.conftest import Admin
from tests.api.conftest import Api, Reply, api_of, tokens_required
from tests.console.conftest import Person
from tests.devices.lab import Lab
from tests.factory import ago, every, job_row

__all__ = ["api_of", "tokens_required"]

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/device_syncto"
UNSEEN = "no dry run has shown what it changes"
ApiOf = Callable[[User], Api]


@pytest.fixture(autouse=True)
def _above_20(lab: Lab, settings: Any) -> None:
    lab.add("sw1")
    settings.CNAASJOBS_APPROVAL_SCORE = 20.0


def person(name: str, *, staff: bool = False) -> User:
    user = User.objects.create_user(name, is_staff=staff)
    may = ("view_job", "add_job", "abort_job", "approve_job", "view_periodictask", "change_periodictask")
    user.user_permissions.set(Permission.objects.filter(codename__in=may))
    return user


@pytest.fixture
def ann(api_of: ApiOf) -> Api:
    return api_of(person("ann"))


@pytest.fixture
def bob(api_of: ApiOf) -> Api:
    return api_of(person("bob"))


def started(reply: Reply) -> Job:
    assert reply.status == 200, reply.body
    return Job.objects.get(pk=reply.body["job_id"])


def why(job: Job) -> str | None:
    asked = JobApproval.objects.filter(pk=job.pk).first()
    assert (asked is not None) is bool(job.unapproved)
    return asked.why if asked else None


def successor(job: Job) -> Job:
    assert job.next_job_id is not None
    return Job.objects.get(pk=job.next_job_id)


def dry_run(api: Api, score: int) -> Job:
    job = perform(started(api.post(URL, {"hostname": "sw1"})))
    assert job.status == Status.FINISHED
    assert job.unapproved is None
    Job.objects.filter(pk=job.pk).update(change_score=score)
    return job


def test_one_that_no_dry_run_has_shown_waits_for_another_person(ann: Api, bob: Api, lab: Lab) -> None:
    job = started(ann.post(URL, {"hostname": "sw1", "dry_run": False}))
    assert (job.status, why(job)) == (Status.SCHEDULED, UNSEEN)
    reply = ann.put(f"/job/{job.pk}", {"action": "APPROVE"})
    assert (reply.status, reply.message) == (
        403,
        f"Missing permission jobs.approve_job for job {job.pk}, in which you had a part: it waits for another person",
    )
    assert AuditEntry.objects.filter(who="ann", action="refused", detail__contains="you had a part").exists()
    (shown,) = bob.put(f"/job/{job.pk}", {"action": "approve", "comment": "fine"}).data["jobs"]
    assert shown["status"] == "SCHEDULED"
    job.refresh_from_db()
    assert perform(job).status == Status.FINISHED
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"
    reply = bob.put(f"/job/{job.pk}", {"action": "REJECT"})
    assert (reply.status, reply.message) == (
        400,
        f"Job id {job.pk} is in state FINISHED and does not wait for approval: bob approved it",
    )


def test_a_job_run_again_waits_again_and_who_may_approve_it_is_asked_anew(ann: Api, bob: Api) -> None:
    """Whoever approved the first may be behind the second."""
    job = started(ann.post(URL, {"hostname": "sw1", "dry_run": False}))
    assert bob.put(f"/job/{job.pk}", {"action": "APPROVE"}).status == 200
    job.refresh_from_db()
    assert perform(job).status == Status.FINISHED
    user = User.objects.get(username="bob")
    second = again.run(again.proposal(job.pk, CameOf.AGAIN), by=By(who=user.username, origin="10.0.0.7", user=user))
    assert why(second) == UNSEEN
    assert bob.put(f"/job/{second.pk}", {"action": "APPROVE"}).status == 403
    assert ann.put(f"/job/{second.pk}", {"action": "APPROVE"}).status == 200


def test_the_maker_of_its_dry_runs_token_does_not_approve_the_live_run(
    ann: Api, bob: Api, lab: Lab, settings: Any
) -> None:
    """By auto_push: the dry run needs no approval, and is ann's by a token that bob made."""
    settings.CNAASJOBS_APPROVAL_SCORE = 1.0
    token = AuthToken.objects.get(user__username="ann")
    TokenMaker.objects.create(token=token, maker_id=User.objects.get(username="bob").pk)
    shown = perform(started(ann.post(URL, {"hostname": "sw1", "auto_push": True, "confirm_mode": 0})))
    live = successor(shown)
    assert live.unapproved
    for behind in (ann, bob):
        assert behind.put(f"/job/{live.pk}", {"action": "APPROVE"}).status == 403


@pytest.mark.parametrize(("score", "says"), [(20, None), (21, "dry run {} scored 21, which is above 20")])
def test_the_score_of_its_plan_decides(ann: Api, score: int, says: str | None) -> None:
    shown = dry_run(ann, score)
    assert why(started(ann.post(URL, {"plan": shown.pk}))) == (says and says.format(shown.pk))


@pytest.mark.parametrize("of", ["a live sync", "one that failed", "another function", "none"])
def test_a_plan_that_is_no_finished_dry_run_counts_for_nothing(ann: Api, of: str) -> None:
    """As somebody could write it into a schedule's arguments."""
    shown = dry_run(ann, 0)
    number = shown.pk
    change: dict[str, dict[str, Any]] = {
        "a live sync": {"function_name": "sync_devices"},
        "another function": {"function_name": "echo (dry_run)"},
    }
    if of == "one that failed":
        about = {"task_name": sync_devices.name, "function_name": shown.function_name, "change_score": 0}
        number = job_row("EXCEPTION", **about).pk
    elif of == "none":
        shown.delete()
    else:
        Job.objects.filter(pk=shown.pk).update(**change[of])
    job = sync_devices.schedule(hostnames=["sw1"], plan=number, dry_run=False)
    assert why(job) == f"no dry run {number} has shown what it changes"
    assert why_needed({"plan": number, "dry_run": False}, Ending(number + 1, 0)) == why(job)  # it comes of another job


def test_a_dry_run_never_waits_and_off_means_off(ann: Api, settings: Any) -> None:
    assert why(started(ann.post(URL, {"all": True}))) is None
    settings.CNAASJOBS_APPROVAL_SCORE = None
    assert why(started(ann.post(URL, {"hostname": "sw1", "dry_run": False}))) is None


def test_without_the_setting_nothing_is_asked_of_the_database(ann: Api, settings: Any) -> None:
    settings.CNAASJOBS_APPROVAL_SCORE = None
    sync_devices.schedule(hostnames=["sw1"], dry_run=False)
    with CaptureQueriesContext(connection) as queries:
        sync_devices.schedule(hostnames=["sw1"], dry_run=False)
    assert len([query for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT"))]) == 1


def test_the_score_of_its_dry_run_decides_whether_auto_push_waits(lab: Lab, settings: Any) -> None:
    job = perform_job(sync_devices, hostnames=["sw1"], auto_push=True, confirm_mode=0)
    live = successor(job)
    assert (why(live), json.loads(live.start_arguments)["plan"]) == (None, job.pk)
    assert perform(live).status == Status.FINISHED
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"
    settings.CNAASJOBS_APPROVAL_SCORE = 1.0
    lab.change("sw1", motd="again")
    job = perform_job(sync_devices, hostnames=["sw1"], auto_push=True, confirm_mode=0)
    said = f"dry run {job.pk} scored {job.change_score}, which is above 1"
    assert why(successor(job)) == said


def test_a_recurring_live_sync_waits_at_each_fire(ann: Api, bob: Api) -> None:
    row = every(60, task=sync_devices.name, kwargs='{"all": true, "dry_run": false}', last_run_at=ago(minutes=2))
    ScheduleOwner.objects.create(schedule=row, user=User.objects.get(username="ann"), name="ann")
    beat = Recurring()
    beat.step()
    beat.close()
    job = Job.objects.get()
    assert why(job) == UNSEEN
    assert ann.put(f"/job/{job.pk}", {"action": "APPROVE"}).status == 403  # it is hers
    assert bob.put(f"/job/{job.pk}", {"action": "APPROVE"}).status == 200


def test_what_clients_see_of_one_that_waits(ann: Api) -> None:
    job = started(ann.post(URL, {"hostname": "sw1", "dry_run": False}))
    (shown,) = ann.get(f"/job/{job.pk}").data["jobs"]
    assert shown["status"] == "SCHEDULED"
    (reason,) = ann.get(f"/job/{job.pk}/waiting").data["waiting"]
    assert (reason["holds"], reason["why"]) == ("approval", UNSEEN)
    assert reason["text"].startswith(
        f"It waits for approval by another person: {UNSEEN}. If nobody approves it, it ends at "
    )
    (event,) = job_objects([job])
    assert [each["holds"] for each in event["waiting"]] == ["approval"]
    assert "cnaasjobs_jobs_unapproved 1.0" in ann.client.get("/metrics").content.decode()


@pytest.mark.parametrize("action", [None, "NOTHING", 7, "APPROVED"])
def test_an_unknown_action_is_refused_with_those_that_there_are(ann: Api, action: Any) -> None:
    job = started(ann.post(URL, {"hostname": "sw1"}))
    reply = ann.put(f"/job/{job.pk}", {"action": action})
    assert (reply.status, reply.message) == (400, "action must be ABORT, APPROVE or REJECT")


def test_a_user_who_may_only_abort_approves_nothing_and_the_other_way_round(ann: Api, api_of: ApiOf) -> None:
    for name, may, may_not in (("a", "abort_job", "APPROVE"), ("b", "approve_job", "ABORT")):
        user = User.objects.create_user(name)
        user.user_permissions.set(Permission.objects.filter(codename=may))
        job = started(ann.post(URL, {"hostname": "sw1", "dry_run": False}))
        reply = api_of(user).put(f"/job/{job.pk}", {"action": may_not})
        assert (reply.status, reply.message) == (403, f"Missing permission jobs.{may_not.lower()}_job")


def test_a_job_is_approved_or_rejected_at_the_command_line(ann: Api, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [started(ann.post(URL, {"hostname": "sw1", "dry_run": False})) for _ in range(2)]
    call_command("jobs", "approve", str(jobs[0].pk), "--comment", "seen")
    call_command("jobs", "reject", str(jobs[1].pk))
    assert [JobApproval.objects.get(pk=job.pk).verdict for job in jobs] == ["approved", "JobRejected"]
    assert capsys.readouterr().out.splitlines() == [f"job {jobs[0].pk}: approved", f"job {jobs[1].pk}: rejected"]
    with pytest.raises(CommandError, match="does not wait for approval"):
        call_command("jobs", "approve", str(jobs[0].pk))


def test_what_is_gone_is_not_approved_and_can_be_rejected(ann: Api, bob: Api, lab: Lab) -> None:
    job = started(ann.post(URL, {"hostname": "sw1", "dry_run": False}))
    lab.add("sw2")
    del lab.hosts["sw1"]
    lab.write()
    words = f"Job id {job.pk} can only be rejected: No device with hostname sw1 found in the inventory"
    reply = bob.put(f"/job/{job.pk}", {"action": "APPROVE"})
    assert (reply.status, reply.message) == (400, words)
    with pytest.raises(CommandError, match=words):
        call_command("jobs", "approve", str(job.pk))
    admin = Admin(person("eva", staff=True))
    pages = admin.raw(f"/jobs/job/approve/?ids={job.pk}"), Person(admin.user).markup(f"/jobs/{job.pk}/approve")
    for page in pages:  # which say so before anybody presses a button
        assert "It can't be approved:" in page
        assert "No device with hostname sw1 found in the inventory" in page
        assert ('name="approve"' in page, 'name="reject"' in page) == (False, True)
    assert f"Not approved: {words}" in admin.post(f"/jobs/job/approve/?ids={job.pk}", {"approve": "1"})
    assert JobApproval.objects.get(pk=job.pk).verdict == ""
    assert bob.put(f"/job/{job.pk}", {"action": "REJECT"}).status == 200


def test_a_second_person_approves_in_the_admin_and_the_author_cannot(ann: Api) -> None:
    own, other = Admin(person("eva", staff=True)), Admin(person("bob", staff=True))
    job = started(ann.post(URL, {"hostname": "sw1", "dry_run": False}))
    Job.objects.filter(pk=job.pk).update(author_id=own.user.pk)
    page = f"/jobs/job/approve/?ids={job.pk}"
    assert ['name="approve"' in each.raw(page) for each in (own, other)] == [False, True]
    assert "Approve…" in other.get(f"/jobs/job/{job.pk}/change/")
    assert "waits for approval" in other.get("/jobs/job/")
    assert "1 waiting for approval" in other.get("/")
    for status, shown in (("unapproved", True), ("in+line", False)):
        assert (f"/admin/jobs/job/{job.pk}/change/" in other.raw(f"/jobs/job/?status={status}")) is shown
    assert "You had a part in scheduling it" in own.get(page)
    assert "Not approved: Missing permission" in own.post(page, {"approve": "1"})
    assert AuditEntry.objects.get(action="refused").who == "eva"
    assert "You had a part in scheduling it" not in other.get(page)
    assert f"Job {job.pk} is approved." in other.post(page, {"approve": "1", "comment": "seen"})
    assert "none of them waits for approval" in other.get_redirected(page)
    assert "waiting for approval" not in other.get("/")
    second = started(ann.post(URL, {"hostname": "sw1", "dry_run": False}))
    assert f"Job {second.pk} is rejected." in other.post(
        f"/jobs/job/approve/?ids={second.pk}", {"reject": "1", "comment": "not tonight"}
    )
    second.refresh_from_db()
    assert (second.exception_type, second.finish_time is not None) == ("JobRejected", True)
    assert second.finish_time is not None
    assert second.finish_time <= database_now()
    stranger = User.objects.create_user("stranger", is_staff=True)
    stranger.user_permissions.set(Permission.objects.filter(codename="view_job"))
    Admin(stranger).get(page, status=403)
