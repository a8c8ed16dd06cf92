"""In development, without tokens, pages of other web sites are kept out."""

from typing import Any

import pytest

from tests.api.conftest import Api

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:3000"},
        {"Origin": "http://evil.example.org"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://["},
        {"Origin": "http://localhost.evil.org"},
        {"Origin": "http://127.0.0.1.evil.org"},
        {"Origin": "http://127.0.0.1@evil.org"},
        {"Origin": "http://evil.org#localhost"},
        {"Origin": "http://192.168.1.1"},
        {"Host": "evil.example.org:8000"},
    ],
)
def test_foreign_pages_get_a_403(api: Api, headers: dict[str, str]) -> None:
    for method, path in (
        ("GET", "/jobs"),
        ("PUT", "/job/1"),
        ("POST", "/device_syncto"),
        ("DELETE", "/joblocks"),
        ("GET", "/nothing"),
    ):
        reply = api.request(method, path, {}, headers=headers)
        assert reply.status == 403
        assert "in development" in reply.message


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://LOCALHOST:1"},
        {"Origin": "http://app.localhost:3000"},
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "http://127.9.9.9"},
        {"Origin": "http://[::1]:8080"},
        {"Host": "hostname"},
        {"Host": "localhost:8000"},
        {"Host": "127.0.0.1:8000"},
        {"Host": "192.168.1.1"},
        {"Host": "[::1]:8000"},
    ],
)
def test_the_operators_own_requests_are_served(api: Api, headers: dict[str, str]) -> None:
    assert api.get("/jobs", headers=headers).status == 200


def test_pages_of_an_origin_in_the_settings_are_served(api: Api, settings: Any) -> None:
    settings.CNAASJOBS_CORS_ORIGINS = ["https://ui.example.org"]
    assert api.get("/jobs", headers={"Origin": "https://ui.example.org", "Sec-Fetch-Site": "cross-site"}).status == 200
    assert api.get("/jobs", headers={"Origin": "https://ui2.example.org"}).status == 403


def test_a_host_in_the_settings_is_served(api: Api, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["lab.example.org"]
    assert api.get("/jobs", headers={"Host": "lab.example.org"}).status == 200


def test_where_tokens_are_required_they_decide(tokens_required: None) -> None:
    assert (
        Api().get("/jobs", headers={"Origin": "http://evil.example.org", "Sec-Fetch-Site": "cross-site"}).status == 401
    )
