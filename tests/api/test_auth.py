"""Tokens and permissions where they are required, and their absence in development."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from cnaasjobs.api.permissions import OneQueryBackend
from tests.api.conftest import Api
from tests.factory import hold_lock, job_row

pytestmark = pytest.mark.django_db

CALLS = [
    ("GET", "/jobs", "jobs.view_job"),
    ("HEAD", "/jobs", "jobs.view_job"),
    ("GET", "/job/1", "jobs.view_job"),
    ("HEAD", "/job/1", "jobs.view_job"),
    ("PUT", "/job/1", "jobs.abort_job"),
    ("GET", "/joblocks", "locks.view_lock"),
    ("HEAD", "/joblocks", "locks.view_lock"),
    ("DELETE", "/joblocks", "locks.clear_lock"),
    ("GET", "/job/1/waiting", "jobs.view_job"),
    ("GET", "/locks", "locks.view_lock"),
    ("GET", "/system/version", "jobs.view_job"),
    ("GET", "/devices", "jobs.view_job"),
    ("GET", "/device/a", "jobs.view_job"),
    ("GET", "/device_synchistory", "jobs.view_job"),
    ("GET", "/groups", "jobs.view_job"),
    ("GET", "/groups/a", "jobs.view_job"),
    ("GET", "/mgmtdomains", "jobs.view_job"),
    ("GET", "/settings/server", "jobs.view_job"),
    ("GET", "/repository/settings", "jobs.view_job"),
    ("PUT", "/repository/settings", "jobs.add_job"),
    ("GET", "/repository/templates", "jobs.view_job"),
    ("PUT", "/repository/templates", "jobs.add_job"),
    ("POST", "/device_syncto", "jobs.add_job"),
    ("POST", "/device_syncto/hostname/a", "jobs.add_job"),
]
EVERY = sorted({permission for _, _, permission in CALLS})
OF_DEVICES = ("device", "group", "mgmtdomains", "settings", "repository")
EACH = [
    pytest.param(*call, marks=pytest.mark.devices if any(part in call[1] for part in OF_DEVICES) else ())
    for call in CALLS
]


def status(api: Api, method: str, path: str) -> int:
    if method == "HEAD":
        return api.client.head(f"/api/v1.0{path}").status_code
    return api.request(method, path, {"action": "ABORT", "name": "devices"}).status


@pytest.mark.parametrize(("method", "path", "_permission"), EACH)
def test_missing_token_is_a_401_with_a_challenge(
    tokens_required: None, method: str, path: str, _permission: str
) -> None:
    assert status(Api(), method, path) == 401
    if method != "HEAD":
        assert Api().request(method, path, {}).headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a b",
        "Basic eDp4",
        "Token x",
        "x",
        "Bearer \xff\xfe",
        "Bearer " + "x" * 5000,
        "Bearer null",
    ],
)
def test_bad_token_is_a_401(tokens_required: None, header: str) -> None:
    reply = Api().get("/jobs", headers={"Authorization": header})
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "permission"), EACH)
def test_each_call_asks_for_its_permission_and_no_other(
    user_with: Callable[..., User], api_of: Callable[[User], Api], method: str, path: str, permission: str
) -> None:
    others = [name for name in EVERY if name != permission]
    without = api_of(user_with(*others, name="without"))
    assert status(without, method, path) == 403
    if method != "HEAD":
        assert permission in without.request(method, path, {}).message
    assert status(api_of(user_with(permission, name="with")), method, path) not in (401, 403)


def test_a_permission_of_a_users_group_counts(user_with: Callable[..., User], api_of: Callable[[User], Api]) -> None:
    user = user_with()
    group = Group.objects.create(name="readers")
    group.permissions.add(Permission.objects.get(codename="view_job"))
    api = api_of(user)
    assert api.get("/jobs").status == 403
    user.groups.add(group)
    assert api.get("/jobs").status == 200


def test_a_superuser_may_make_every_call(api_of: Callable[[User], Api]) -> None:
    api = api_of(User.objects.create_superuser("root"))
    for method, path, _ in CALLS:
        assert status(api, method, path) not in (401, 403)


def test_token_is_stored_as_a_hash_only(user_with: Callable[..., User]) -> None:
    row, text = AuthToken.objects.create(user_with())
    stored = AuthToken.objects.filter(pk=row.pk).values_list().get()
    assert not any(text in str(value) for value in stored)


def test_a_token_that_ended_was_revoked_or_is_of_an_inactive_user_gets_a_401(
    user_with: Callable[..., User], tokens_required: None
) -> None:
    user = user_with("jobs.view_job")
    row, text = AuthToken.objects.create(user, expiry=timedelta(days=1))
    assert Api(text).get("/jobs").status == 200
    ended = AuthToken.objects.create(user, expiry=timedelta(seconds=-1))[1]
    assert Api(ended).get("/jobs").status == 401
    user.is_active = False
    user.save()
    assert Api(text).get("/jobs").status == 401
    user.is_active = True
    user.save()
    row.delete()
    assert Api(text).get("/jobs").status == 401


def test_a_token_its_user_and_its_permissions_cost_one_query(
    user_with: Callable[..., User], api_of: Callable[[User], Api]
) -> None:
    api = api_of(user_with("jobs.view_job"))
    assert api.get("/jobs").status == 200  # PostgreSQL gets the statement once per connection
    with CaptureQueriesContext(connection) as queries:
        assert api.get("/jobs").status == 200
    of_users = ("auth_", "knox", "EXECUTE token")  # prepared, it is called by its name
    about_users = [query["sql"] for query in queries if any(words in query["sql"] for words in of_users)]
    assert len(about_users) == 1, about_users


def test_a_session_ends_with_its_account(user_with: Callable[..., User]) -> None:
    user = user_with("jobs.view_job")
    assert OneQueryBackend().get_user(user.pk) == user
    User.objects.update(is_active=False)
    assert OneQueryBackend().get_user(user.pk) is None
    User.objects.all().delete()
    assert OneQueryBackend().get_user(user.pk) is None


def test_session_of_the_admin_is_no_credential(
    client: Any, user_with: Callable[..., User], tokens_required: None
) -> None:
    client.force_login(user_with("jobs.view_job"))
    assert client.get("/api/v1.0/jobs").status_code == 401


def test_unknown_urls_and_methods_say_so_without_permissions(
    user_with: Callable[..., User], api_of: Callable[[User], Api]
) -> None:
    api = api_of(user_with())
    assert api.get("/nothing").status == 404
    assert api.post("/jobs", {}).status == 405


def test_what_a_token_does_is_done_by_its_user(user_with: Callable[..., User], api_of: Callable[[User], Api]) -> None:
    api = api_of(user_with("jobs.abort_job", name="eva"))
    (job,) = api.put(f"/job/{job_row('SCHEDULED').pk}", {"action": "ABORT"}).data["jobs"]
    assert job["exception"]["message"] == "Aborted via API call (aborted by eva)"


@pytest.mark.parametrize("header", ["Bearer null", "Bearer x", "Basic x", "Bearer \xff", ""])
def test_in_development_tokens_are_not_looked_at(api: Api, header: str) -> None:
    hold_lock("devices", job_row("RUNNING"))
    headers = {"Authorization": header}
    with CaptureQueriesContext(connection) as queries:
        assert api.get("/jobs", headers=headers).status == 200
    assert not any("auth" in query["sql"] for query in queries)
    assert api.delete("/joblocks", {"name": "devices"}, headers=headers).status == 200
