"""Users whose groups are limited to some devices: what they may start, abort and clear; what a start checks."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from devices.tasks import sync_devices
from jobs.audit.trail import By
from jobs.beat.recurring import Recurring
from jobs.errors import NotAllowed
from jobs.models import AuditEntry, GroupScope, Job, ScheduleOwner
from jobs.operating import again
from jobs.rights.decide import require_start
from jobs.states import CameOf, Status
from jobs.testing import exception_of, perform
from locks.models import Lock
from tests import fake_jobs
from tests.admin.conftest import Admin
from tests.api.conftest import Api, api_of, tokens_required
from tests.console.conftest import Person
from tests.devices.lab import Lab
from tests.factory import ago, device_row, every, hold_lock, job_row

__all__ = ["api_of", "tokens_required"]

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/device_syncto"
MAY = ("view_job", "add_job", "abort_job", "view_lock", "clear_lock", "view_periodictask", "change_periodictask")
ApiOf = Callable[[User], Api]


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.groups |= {"dist": {"data": {"device_type": "DIST"}}, "floor": {"groups": ["access"]}}
    lab.add("sw1", group="floor")
    lab.add("sw2")
    lab.add("d1", "d2", "d3", "d4", group="dist")


@pytest.fixture
def crew() -> Group:
    group = Group.objects.create(name="crew")
    group.permissions.set(Permission.objects.filter(codename__in=MAY))
    return group


@pytest.fixture
def ann(crew: Group) -> User:
    """May do everything to the access devices, and nothing to others."""
    GroupScope.objects.create(group=crew, device_groups="access")
    user = User.objects.create_user("ann", is_staff=True)
    user.groups.add(crew)
    return user


@pytest.fixture
def api(ann: User, api_of: ApiOf) -> Api:
    return api_of(ann)


def sync_of(*, status: str = "SCHEDULED", **selected: Any) -> Job:
    arguments = sync_devices.bound(selected)
    name = sync_devices.function_name_of(arguments)
    return job_row(status, task_name=sync_devices.name, function_name=name, start_arguments=json.dumps(arguments))


OUTSIDE = [
    ({"hostname": "d1"}, "device d1"),
    ({"hostnames": ["d2", "sw1", "d1"]}, "devices d1, d2"),
    ({"device_type": "dist"}, "devices d1, d2, d3 and 1 more"),
    ({"group": "dist"}, "devices d1, d2, d3 and 1 more"),
    ({"all": True}, "devices d1, d2, d3 and 1 more"),
]


@pytest.mark.parametrize("body", [{"hostname": "sw1"}, {"group": "floor"}, {"device_type": "ACCESS"}])
def test_a_sync_inside_the_scope_starts(api: Api, ann: User, body: dict[str, Any]) -> None:
    reply = api.post(URL, body)
    assert reply.status == 200
    assert Job.objects.get(pk=reply.body["job_id"]).author_id == ann.pk


@pytest.mark.parametrize(("body", "named"), OUTSIDE)
def test_outside_it_is_refused_with_permission_and_devices(api: Api, body: dict[str, Any], named: str) -> None:
    reply = api.post(URL, body, headers={"Idempotency-Key": "k"})
    assert (reply.status, reply.message) == (403, f"Missing permission jobs.add_job for {named}")
    assert not Job.objects.exists()
    entry = AuditEntry.objects.get(action="refused")
    assert (entry.who, entry.detail) == (
        "ann",
        f"POST /api/v1.0/device_syncto: permission jobs.add_job for {named}",
    )


@pytest.mark.parametrize("key", ["failed_of", "plan"])
def test_devices_of_an_earlier_job_count_as_if_they_were_named(api: Api, key: str) -> None:
    job = sync_of(status="FINISHED", all=True)
    Job.objects.filter(pk=job.pk).update(finish_time=ago(seconds=1))
    for host in ("sw1", "d1"):
        device_row(job, host, reason="cannot connect")
    reply = api.post(URL, {key: job.pk})
    assert (reply.status, reply.message) == (403, "Missing permission jobs.add_job for device d1")


@pytest.mark.parametrize("limit", [{"functions": "sync_devices (dry_run)"}, {"functions": "upgrade"}])
def test_a_scope_of_functions_allows_only_these(api: Api, crew: Group, limit: dict[str, str]) -> None:
    GroupScope.objects.filter(group=crew).update(device_groups="", **limit)
    dry, live = (api.post(URL, {"all": True, "dry_run": dry_run}) for dry_run in (True, False))
    assert dry.status == (200 if "sync" in limit["functions"] else 403)
    assert (live.status, live.message) == (403, "Missing permission jobs.add_job for sync_devices")


def test_a_job_that_does_not_say_what_devices_it_is_for_is_outside(ann: User) -> None:
    said = "Missing permission jobs.add_job for nothing, which does not say what devices it is for"
    with pytest.raises(NotAllowed, match=said):
        require_start(ann, fake_jobs.nothing, {})


def test_an_unlimited_operator_costs_no_more_statements(crew: Group, api_of: ApiOf) -> None:
    """One group more with a scope elsewhere changes nothing."""
    user = User.objects.create_user("bob")
    user.groups.add(crew)
    api = api_of(user)
    assert api.post(URL, {"hostname": "sw1"}).status == 200  # what is prepared once per connection is

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert api.post(URL, {"hostname": "sw1"}).status == 200
        return len(queries)

    before = asked()
    limited = Group.objects.create(name="limited")
    limited.permissions.set(crew.permissions.all())
    GroupScope.objects.create(group=limited, device_groups="floor")
    user.groups.add(limited)
    assert asked() == before


# --- jobs and locks that there are ------------------------------------------------------------------------------------


def test_aborting_is_for_jobs_inside(api: Api) -> None:
    inside, outside = sync_of(group="floor"), sync_of(hostnames=["d1", "gone", "sw1"])
    reply = api.put(f"/job/{outside.pk}", {"action": "ABORT"})
    assert (reply.status, reply.message) == (403, "Missing permission jobs.abort_job for devices gone, d1")
    assert api.put(f"/job/{inside.pk}", {"action": "ABORT"}).status == 200
    assert Job.objects.get(pk=outside.pk).status == Status.SCHEDULED
    reply = api.put(f"/job/{sync_of(group='gone').pk}", {"action": "ABORT"})
    assert (reply.status, reply.message) == (403, "Missing permission jobs.abort_job for device group gone")
    other = job_row("SCHEDULED")
    reply = api.put(f"/job/{other.pk}", {"action": "ABORT"})
    assert reply.message.startswith("Missing permission jobs.abort_job for ")
    assert api.put("/job/123456", {"action": "ABORT"}).status == 404


@pytest.mark.parametrize("kind", [CameOf.AGAIN, CameOf.FAILED])
def test_running_again_is_for_jobs_inside(ann: User, kind: CameOf) -> None:
    by = By(who="ann", origin="10.0.0.7", user=ann)
    inside, outside = sync_of(status="FINISHED", group="floor"), sync_of(status="FINISHED", group="dist")
    for job, host in ((inside, "sw1"), (outside, "d1")):
        device_row(job, host, reason="cannot connect")
    with pytest.raises(NotAllowed, match=r"Missing permission jobs.add_job for devices? d1"):
        again.run(again.proposal(outside.pk, kind), by=by)
    assert again.run(again.proposal(inside.pk, kind), by=by).author_id == ann.pk
    assert Job.objects.count() == 3


def test_reading_is_not_scoped(api: Api) -> None:
    outside = sync_of(hostnames=["d1"])
    assert [job["id"] for job in api.get("/jobs").data["jobs"]] == [outside.pk]


def test_only_jobs_inside_the_scope_are_aborted_in_the_admin(ann: User) -> None:
    inside, outside = sync_of(group="floor"), sync_of(all=True)
    page = Admin(ann).post(f"/jobs/job/abort/?ids={inside.pk},{outside.pk}", {"reason": "x"})
    assert "Not aborted: Missing permission jobs.abort_job for devices d1, d2, d3 and 1 more." in page
    assert AuditEntry.objects.get(action="refused").detail.endswith("jobs.abort_job for devices d1, d2, d3 and 1 more")
    assert Job.objects.get(pk=outside.pk).status == Status.SCHEDULED
    assert Job.objects.get(pk=inside.pk).status == Status.EXCEPTION


@pytest.mark.parametrize("holder", ["inside", "outside", "gone"])
def test_a_lock_is_cleared_only_if_its_holder_is_inside_the_scope(api: Api, ann: User, holder: str) -> None:
    job = sync_of(status="RUNNING", group="floor" if holder == "inside" else "dist")
    row = hold_lock("devices", 987_654 if holder == "gone" else job)
    pages = _cleared_on_pages(ann, row) if holder != "inside" else []
    reply = api.delete("/joblocks", {"name": "devices"})
    if holder == "inside":
        assert reply.status == 200
        return
    assert reply.status == 403
    assert "Missing permission locks.clear_lock for " in reply.message
    for page in pages:
        assert f"Lock devices was not cleared: {reply.message}." in page
    assert Lock.objects.get(name="devices").holder_id is not None
    assert AuditEntry.objects.filter(action="refused", who="ann").count() == 1 + len(pages)
    assert api.delete("/joblocks", {"name": "another"}).status == 404


def _cleared_on_pages(user: User, lock: Lock) -> list[str]:
    return [
        Admin(user).post("/locks/lock/clear/", {"lock": f"{lock.fence}:devices"}),
        Person(user).send("/locks/clear", {"name": "devices", "fence": lock.fence}),
    ]


# --- when it starts ---------------------------------------------------------------------------------------------------


def test_a_selection_that_grew_ends_the_job_before_it_touches_a_device(api: Api, lab: Lab) -> None:
    job = Job.objects.get(pk=api.post(URL, {"group": "floor", "dry_run": False}).body["job_id"])
    lab.groups["floor"]["groups"] = []  # its devices are no access devices any more
    lab.groups["floor"]["data"] = {"device_type": "DIST"}
    lab.write()
    done = perform(job)
    assert done.exception_type == "RightsWithdrawn"
    exception = exception_of(done)
    assert exception is not None
    words = "ann started it, and may no longer do so: Missing permission jobs.add_job for device sw1"
    assert exception["message"] == words
    assert lab.running("sw1") is None


def _deactivated(ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_active=False)


def _without_permission(ann: User) -> None:
    Group.objects.get(name="crew").permissions.remove(Permission.objects.get(codename="add_job"))


def _narrowed(ann: User) -> None:
    GroupScope.objects.update(device_groups="dist")


@pytest.mark.parametrize(
    ("withdraw", "why"),
    [
        (_deactivated, "ann started it, and is no longer active"),
        (User.delete, "ann started it, and no longer exists"),
        (_without_permission, "ann started it, and may no longer do so: Missing permission jobs.add_job"),
        (_narrowed, "ann started it, and may no longer do so: Missing permission jobs.add_job for device sw1"),
    ],
)
def test_a_job_whose_rights_were_withdrawn_meanwhile_touches_no_device(
    api: Api, ann: User, lab: Lab, withdraw: Callable[[User], Any], why: str
) -> None:
    job = Job.objects.get(pk=api.post(URL, {"hostname": "sw1", "dry_run": False}).body["job_id"])
    withdraw(ann)
    done = perform(job)
    exception = exception_of(done)
    assert exception is not None
    assert (done.status, exception["type"], exception["message"]) == (Status.EXCEPTION, "RightsWithdrawn", why)
    assert lab.running("sw1") is None


def test_a_successor_is_started_with_the_same_rights(api: Api, ann: User) -> None:
    body = {"hostname": "sw1", "auto_push": True}
    job = perform(Job.objects.get(pk=api.post(URL, body).body["job_id"]))
    assert job.status == Status.FINISHED
    assert list(Job.objects.exclude(pk=job.pk).values_list("id", "author_id")) == [(job.next_job_id, ann.pk)]


# --- schedules --------------------------------------------------------------------------------------------------------


def nightly(**selected: Any) -> Any:
    row = every(60, task=sync_devices.name, kwargs=json.dumps(selected), last_run_at=ago(minutes=2))
    ScheduleOwner.objects.create(schedule=row, user=User.objects.get(username="ann"), name="ann")
    return row


@pytest.mark.parametrize(("group", "jobs"), [("floor", 1), ("dist", 0)])
def test_a_schedule_reaches_as_far_as_its_owner(api: Api, ann: User, group: str, jobs: int) -> None:
    nightly(group=group)
    beat = Recurring()
    beat.step()
    beat.close()
    assert [job.author_id for job in Job.objects.all()] == [ann.pk] * jobs


def test_in_the_admin_it_is_run_and_enabled_only_inside(ann: User) -> None:
    row, admin = nightly(group="dist"), Admin(ann)
    for action in ("run_now", "enable_tasks"):
        chosen = {"action": action, "_selected_action": [str(row.pk)]}
        page = admin.post("/django_celery_beat/periodictask/", chosen)
        assert "you may not start it yourself: Missing permission jobs.add_job for devices d1, d2, d3" in page
    assert not Job.objects.exists()
