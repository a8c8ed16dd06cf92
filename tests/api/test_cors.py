"""CORS: for the origins of CNAASJOBS_CORS_ORIGINS, on errors too; nothing for any other."""

from typing import Any

import pytest
from django.test import Client

from cnaasjobs.settings import CORS_ALLOW_HEADERS
from tests.api.conftest import API

LISTED = "https://ui.example.org"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def listed(settings: Any) -> None:
    settings.CNAASJOBS_CORS_ORIGINS = [LISTED]
    settings.CORS_ALLOWED_ORIGINS = [LISTED]


def call(method: str, path: str, origin: str = LISTED, **headers: str) -> Any:
    return Client(raise_request_exception=False).generic(method, API + path, headers={"Origin": origin, **headers})


@pytest.mark.parametrize("path", ["/jobs", "/job/1", "/joblocks", "/device_syncto"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH"])
@pytest.mark.parametrize("required", [True, False])
def test_preflight_is_answered_without_credentials(settings: Any, path: str, method: str, required: bool) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = required
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": ", ".join(CORS_ALLOW_HEADERS)}
    response = call("OPTIONS", path, **asked, **{"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == LISTED
    assert response["Access-Control-Allow-Credentials"] == "true"
    assert method in response["Access-Control-Allow-Methods"]
    for header in ("authorization", "content-type", "idempotency-key"):
        assert header in response["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/jobs", 200),
        ("GET", "/nothing", 404),
        ("POST", "/jobs", 405),
        ("GET", "/jobs?sort=x", 400),
        ("PUT", "/job/1", 400),
    ],
)
def test_headers_stand_on_errors_too(method: str, path: str, status: int) -> None:
    response = call(method, path)
    assert response.status_code == status
    expect_allowed(response)


def expect_allowed(response: Any) -> None:
    assert response["Access-Control-Allow-Origin"] == LISTED
    assert response["Access-Control-Allow-Credentials"] == "true"
    assert {name.strip() for name in response["Access-Control-Expose-Headers"].split(",")} == {"X-Total-Count", "Link"}
    assert "origin" in response["Vary"].lower()


def test_headers_stand_on_a_401_a_403_and_a_400_for_the_host(settings: Any, tokens_required: None) -> None:
    response = call("GET", "/jobs")
    assert response.status_code == 401
    expect_allowed(response)
    settings.CNAASJOBS_REQUIRE_TOKEN = False
    settings.ALLOWED_HOSTS = ["other"]
    response = call("GET", "/jobs")
    assert response.status_code == 400
    expect_allowed(response)


def test_headers_stand_on_a_500(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.api.views.jobs_json", None)
    response = call("GET", "/jobs")
    assert response.status_code == 500
    expect_allowed(response)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.org",
        "http://ui.example.org",
        "https://ui.example.org.evil",
        "null",
        "https://ui.example.org:444",
        "//",
        "http://[",
    ],
)
def test_other_origins_get_no_cors_headers(tokens_required: None, origin: str) -> None:
    for response in (
        call("GET", "/jobs", origin),
        call("OPTIONS", "/jobs", origin, **{"Access-Control-Request-Method": "GET"}),
    ):
        assert "Access-Control-Allow-Origin" not in response
        assert "Access-Control-Allow-Credentials" not in response


def test_the_admin_has_no_cors() -> None:
    assert "Access-Control-Allow-Origin" not in Client().get("/admin/login/", headers={"Origin": LISTED})
