"""A client that speaks JSON, jobs in any state, users with tokens."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from knox.models import AuthToken

from tests.api import described

API = "/api/v1.0"
BARE = ("/settings/server", "/auth/permissions", "/auth/identity", "/schema")  # a success of these has no envelope


@dataclass(frozen=True)
class Reply:
    """An answer of the API. That it is JSON in the envelope, and never a 500, was checked when it was made."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def data(self) -> Any:
        assert self.status == 200, self.body
        return self.body["data"]

    @property
    def message(self) -> str:
        assert self.body["status"] == "error"
        return str(self.body["message"])


def checked(path: str, status: int, content_type: str, raw: bytes, headers: Mapping[str, str]) -> Reply:
    if _is_bare(path, status):
        assert content_type == "application/json"
        return Reply(status, {"data": json.loads(raw)}, headers, raw)
    return in_envelope(status, content_type, raw, headers)


def _is_bare(path: str, status: int) -> bool:
    return status == 200 and path.partition("?")[0] in BARE


def in_envelope(status: int, content_type: str, raw: bytes, headers: Mapping[str, str]) -> Reply:
    assert content_type == "application/json", (status, content_type, raw[:200])
    body = json.loads(raw)
    assert status != 500
    if status == 200:
        assert body["status"] == "success"
        assert "data" in body
    else:
        assert 400 <= status < 600
        assert body.keys() == {"status", "message"}
        assert body["status"] == "error"
        assert isinstance(body["message"], str)
        assert body["message"]
        assert "Traceback" not in body["message"]
    return Reply(status, body, headers, raw)


class Api:
    """Calls below ``/api/v1.0`` through every middleware, in this process."""

    def __init__(self, token: str | None = None) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {token}"} if token else {})

    def request(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **options: Any) -> Reply:
        if body is not None:
            raw = json.dumps(body).encode()
        options.setdefault("content_type", "application/json")
        response = self.client.generic(method, API + path, raw or b"", **options)
        reply = checked(path, response.status_code, response["Content-Type"], response.content, response.headers)
        described.check(method, path, reply.status, reply.body["data"] if _is_bare(path, reply.status) else reply.body)
        return reply

    def get(self, path: str, **options: Any) -> Reply:
        return self.request("GET", path, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.request("PUT", path, body, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.request("POST", path, body, **options)

    def delete(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.request("DELETE", path, body, **options)


@pytest.fixture
def api() -> Api:
    """Everybody's access in development: no token."""
    return Api()


@pytest.fixture
def tokens_required(settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True


@pytest.fixture
def user_with(db: None) -> Callable[..., User]:
    """Makes a user with these permissions, such as ``"jobs.view_job"``."""

    def make(*permissions: str, name: str = "operator") -> User:
        user = User.objects.create_user(name, password="correct horse")
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return user

    return make


@pytest.fixture
def api_of(tokens_required: None) -> Callable[[User], Api]:
    """Access with a token of this user, where tokens are required."""
    return lambda user: Api(AuthToken.objects.create(user)[1])
