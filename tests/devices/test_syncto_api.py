"""POST /device_syncto over HTTP, as the API contract defines it."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from jobs.models import AuditEntry, Job
from tests.api.conftest import Api, Reply, api, api_of, tokens_required, user_with
from tests.devices.lab import Lab

__all__ = ["api", "api_of", "tokens_required", "user_with"]

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/device_syncto"


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.groups["dist"] = {"data": {"device_type": "DIST"}}
    lab.add("sw1", "sw2")
    lab.add("d1", group="dist")


def scheduled(reply: Reply) -> dict[str, Any]:
    """The arguments of the job that an answer names."""
    assert reply.status == 200, reply.body
    arguments: dict[str, Any] = json.loads(Job.objects.get(pk=reply.body["job_id"]).start_arguments)
    return arguments


DEFAULTS = {
    "hostnames": None,
    "device_type": None,
    "group": None,
    "all": False,
    "dry_run": True,
    "force": False,
    "resync": False,
    "auto_push": False,
    "confirm_mode": 1,
}
FORCED = {"dry_run": False, "force": True}
PUSHED = {"resync": True, "auto_push": True}


@pytest.mark.parametrize(
    ("body", "said", "count", "arguments"),
    [
        ({"hostname": "sw1"}, "sw1", 1, {"hostnames": ["sw1"]}),
        ({"hostnames": ["d1", "sw1"]}, "d1, sw1", 2, {"hostnames": ["d1", "sw1"]}),
        ({"hostnames": ["sw2"], "all": False, "group": None}, "sw2", 1, {"hostnames": ["sw2"]}),
        ({"device_type": "access"}, "access devices", 2, {"device_type": "ACCESS"}),
        ({"device_type": "DIST"}, "dist devices", 1, {"device_type": "DIST"}),
        ({"device_type": "Core"}, "core devices", 0, {"device_type": "CORE"}),
        ({"group": "dist"}, "group dist", 1, {"group": "dist"}),
        ({"all": True}, "all devices", 3, {"all": True}),
        ({"hostname": "sw1", "all": False}, "sw1", 1, {"hostnames": ["sw1"]}),
        ({"hostname": False, "group": None, "device_type": False, "all": True}, "all devices", 3, {"all": True}),
        ({"group": "dist", **FORCED}, "group dist", 1, {"group": "dist"} | FORCED),
        ({"group": "dist", **PUSHED}, "group dist", 1, {"group": "dist"} | PUSHED),
        ({"all": True, "confirm_mode": 2, "dry_run": None}, "all devices", 3, {"confirm_mode": 2, "all": True}),
        ({"all": True, "nosuch": None}, "all devices", 3, {"all": True}),
    ],
)
def test_a_sync_is_scheduled(api: Api, body: dict[str, Any], said: str, count: int, arguments: dict[str, Any]) -> None:
    reply = api.post(URL, body)
    assert reply.body == {
        "status": "success",
        "data": f"Scheduled job to synchronize {said}",
        "job_id": reply.body["job_id"],
    }
    assert reply.headers["X-Total-Count"] == str(count)
    assert scheduled(reply) == DEFAULTS | arguments


def test_of_many_names_the_answer_says_a_few_and_the_arguments_have_all(api: Api, lab: Lab) -> None:
    names = [f"many{number}" for number in range(200)]
    lab.add(*names)
    reply = api.post(URL, {"hostnames": names})
    assert reply.body["data"].endswith(" many0, many1, many2, many3, many4 and 195 more")
    assert reply.headers["X-Total-Count"] == "200"
    assert scheduled(reply)["hostnames"] == names


def test_the_url_may_name_the_device_and_the_body_be_absent(api: Api) -> None:
    for reply in (
        api.post(f"{URL}/hostname/sw1"),
        api.post(f"{URL}/hostname/sw1/", {"hostname": "sw1", "all": False}),
        api.post(f"{URL}/", {"hostname": "sw1"}),
    ):
        assert scheduled(reply) == DEFAULTS | {"hostnames": ["sw1"]}


def test_comment_ticket_and_user_stand_in_the_job_and_the_audit_trail(api: Api) -> None:
    reply = api.post(URL, {"hostname": "sw1", "comment": "c" * 255, "ticket_ref": "T" * 32})
    job = Job.objects.get(pk=reply.body["job_id"])
    assert (job.comment, job.ticket_ref, job.scheduled_by) == ("c" * 255, "T" * 32, "dev")
    entry = AuditEntry.objects.get(job_id=job.pk)
    assert (entry.action, entry.who, entry.origin) == ("scheduled", "dev", "127.0.0.1")
    assert entry.detail == "sync_devices (dry_run): sw1"


@pytest.mark.parametrize(
    ("start_at", "due"),
    [
        ("2126-11-24T13:00:00", datetime(2126, 11, 24, 13, tzinfo=UTC)),
        ("2126-11-24 13:00:00", datetime(2126, 11, 24, 13, tzinfo=UTC)),
        ("2126-11-24T13:00:00Z", datetime(2126, 11, 24, 13, tzinfo=UTC)),
        ("2126-11-24T13:00:00+02:00", datetime(2126, 11, 24, 11, tzinfo=UTC)),
        ("2126-11-24T13:00:00.123456-01:30", datetime(2126, 11, 24, 14, 30, 0, 123456, tzinfo=UTC)),
    ],
)
def test_start_at_is_when_it_is_due(api: Api, start_at: str, due: datetime) -> None:
    reply = api.post(URL, {"all": True, "start_at": start_at})
    assert Job.objects.get(pk=reply.body["job_id"]).scheduled_time == due


def test_a_start_in_the_past_is_now(api: Api) -> None:
    reply = api.post(URL, {"all": True, "start_at": "2001-01-01T00:00:00"})
    job = Job.objects.get(pk=reply.body["job_id"])
    assert abs(job.scheduled_time - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Exactly one of hostname, hostnames, device_type, group, all, failed_of or plan must be given"),
        ({"all": False}, "Exactly one of"),
        ({"all": True, "hostname": "sw1"}, "not hostname and all"),
        ({"hostname": "nosuch"}, "No device with hostname nosuch found"),
        ({"hostname": ""}, "No device with hostname '' found"),
        ({"hostnames": ["sw1", "no1", "no2"]}, "No device with hostname no1, no2 found in the inventory"),
        ({"hostnames": [f"no{n}" for n in range(7)]}, "hostname no0, no1, no2, no3, no4 and 2 more found"),
        ({"hostnames": []}, "hostnames must name at least one device"),
        ({"hostnames": "sw1"}, "hostnames must be a list of hostnames"),
        ({"hostnames": False}, "hostnames must be a list of hostnames"),
        ({"hostnames": {"sw1": True}}, "hostnames must be a list of hostnames"),
        ({"hostnames": ["sw1", 5]}, "hostnames must be a list of hostnames: its item 2 must be a string"),
        ({"hostnames": [None]}, "hostnames must be a list of hostnames: its item 1 must be a string"),
        ({"hostnames": ["sw1", "d1", "sw1"]}, "hostnames must name each device once: sw1"),
        ({"hostnames": ["sw1", "a\x00b"]}, "contains a NUL"),
        ({"hostnames": ["sw1"], "hostname": "sw1"}, "not hostname and hostnames"),
        ({"device_type": "router"}, "Unknown device type router"),
        ({"group": "nosuch"}, "No group nosuch found"),
        ({"hostname": True}, "hostname must be a string"),
        ({"hostname": ["sw1"]}, "hostname must be a string"),
        ({"device_type": 1}, "device_type must be a string"),
        ({"group": {}}, "group must be a string"),
        ({"all": "yes"}, "all must be true or false"),
        ({"all": 1}, "all must be true or false"),
        ({"all": True, "nosuch": 1}, "Unknown key in request: nosuch"),
        ({"all": True, "hostnames": ["sw1"]}, "not hostnames and all"),
        ({"all": True, "dry_run": "false"}, "dry_run must be true or false"),
        ({"all": True, "dry_run": 0}, "dry_run must be true or false"),
        ({"all": True, "force": "x"}, "force must be true or false"),
        ({"all": True, "resync": 1}, "resync must be true or false"),
        ({"all": True, "auto_push": []}, "auto_push must be true or false"),
        ({"all": True, "confirm_mode": 3}, "confirm_mode must be 0, 1 or 2"),
        ({"all": True, "confirm_mode": True}, "confirm_mode must be 0, 1 or 2"),
        ({"all": True, "confirm_mode": "1"}, "confirm_mode must be 0, 1 or 2"),
        ({"all": True, "confirm_mode": 1.0}, "confirm_mode must be 0, 1 or 2"),
        ({"all": True, "comment": 5}, "comment must be a string"),
        ({"all": True, "comment": "c" * 256}, "comment must not be longer than 255 characters"),
        ({"all": True, "ticket_ref": "t" * 33}, "ticket_ref must not be longer than 32 characters"),
        ({"all": True, "comment": "a\x00b"}, "comment contains a NUL"),
        ({"all": True, "start_at": 5}, "start_at must be a string"),
        ({"all": True, "start_at": "tomorrow"}, "start_at must be a time"),
        ({"all": True, "start_at": "2026-02-30T00:00:00"}, "start_at must be a time"),
        ({"all": True, "start_at": "9999-12-31T23:59:59-10:00"}, "start_at must be a time"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_scheduled(api: Api, body: dict[str, Any], said: str) -> None:
    reply = api.post(URL, body)
    assert reply.status == 400
    assert said in reply.message
    assert (Job.objects.count(), AuditEntry.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("nosuch", None),
        ("sw1", {"hostname": "sw2"}),
        ("sw1", {"all": True}),
        ("sw1", {"hostnames": ["sw1"]}),
        ("sw1", {"group": "dist"}),
        ("sw1%00", None),
        ("%ff", None),
    ],
)
def test_a_device_in_the_url_must_be_the_only_one(api: Api, path: str, body: dict[str, Any] | None) -> None:
    assert api.post(f"{URL}/hostname/{path}", body).status == 400
    assert Job.objects.count() == 0


def test_other_methods_are_refused(api: Api) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert api.request(method, URL).status == 405
        assert api.request(method, f"{URL}/hostname/sw1").status == 405


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"{", b"\xff", b"null", b'{"all": NaN}'])
def test_a_body_that_is_no_object_is_refused(api: Api, raw: bytes) -> None:
    assert api.request("POST", URL, raw=raw).status == 400


def test_an_unreadable_inventory_is_a_503(api: Api, lab: Lab) -> None:
    (lab.directory / "hosts.yml").write_text("sw1: {password: hunter2\n")
    reply = api.post(URL, {"all": True})
    assert reply.status == 503
    assert "can't be read" in reply.message
    assert "hunter2" not in reply.message
    assert Job.objects.count() == 0


def test_a_bad_request_is_told_before_an_unreadable_inventory(api: Api, lab: Lab) -> None:
    (lab.directory / "hosts.yml").unlink()
    assert api.post(URL, {"all": True, "nosuch": 1}).status == 400


def test_it_needs_the_permission_to_add_jobs(api_of: Callable[[User], Api], user_with: Callable[..., User]) -> None:
    assert api_of(user_with("jobs.view_job", name="viewer")).post(URL, {"all": True}).status == 403
    assert Api().post(URL, {"all": True}).status == 401
    reply = api_of(user_with("jobs.add_job", name="alice")).post(URL, {"all": True})
    assert Job.objects.get(pk=reply.body["job_id"]).scheduled_by == "alice"


def keyed(api: Api, body: dict[str, Any], *, path: str = URL, key: str = "k1") -> Reply:
    return api.post(path, body, HTTP_IDEMPOTENCY_KEY=key)


def test_a_repeated_request_answers_with_the_first_job(api: Api, lab: Lab) -> None:
    first = keyed(api, {"hostname": "sw1"})
    lab.hosts.clear()
    lab.write()
    again = keyed(api, {"hostname": "sw1"})
    assert (again.body, again.headers["X-Total-Count"]) == (first.body, "1")
    assert (Job.objects.count(), AuditEntry.objects.count()) == (1, 1)


def test_another_request_with_the_same_key_is_a_conflict(api: Api) -> None:
    keyed(api, {"hostname": "sw1"})
    assert keyed(api, {"hostname": "sw2"}).status == 409
    assert keyed(api, {"hostnames": ["sw1"]}).status == 409
    assert keyed(api, {}, path=f"{URL}/hostname/sw2").status == 409
    assert Job.objects.count() == 1


def test_a_refused_request_keeps_no_key(api: Api) -> None:
    assert keyed(api, {"hostname": "nosuch"}).status == 400
    assert keyed(api, {"hostname": "sw1"}).status == 200


def test_two_at_once_with_one_key_schedule_one_job(api: Api) -> None:
    replies: list[Reply] = []

    def post() -> None:
        try:
            replies.append(keyed(Api(), {"all": True}))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({reply.body["job_id"] for reply in replies}) == 1
    assert Job.objects.count() == 1
