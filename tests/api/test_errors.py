"""Whatever a client sends below /api is answered in the envelope with a fitting 4xx."""

from typing import Any

import pytest
from django.test import Client

from tests.api.conftest import API, Api, in_envelope
from tests.factory import job_row

pytestmark = pytest.mark.django_db

PATHS = ["/jobs", "/job/1", "/joblocks", "/device_syncto", "/device_syncto/hostname/a"]


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/jobs/1", "/job/1/2", "/joblocks/devices", "/jobs//", "/Jobs", "/../jobs"],
)
def test_unknown_url_is_a_404(api: Api, path: str) -> None:
    reply = api.get(path)
    assert reply.status == 404
    assert "No such URL" in reply.message


@pytest.mark.parametrize(
    "path",
    [
        *("/api", "/api/", "/api/v2/jobs", "/api/v1.0", "/api/v1.0/%00", "/api/v1.0/\u00e5%ff"),
        *("/nothing", "/socket.io/?EIO=4", "/static/nothing.js", "/administrator", "/api.json"),
    ],
)
def test_an_unknown_url_beside_the_api_is_a_404_in_the_envelope_too(client: Client, path: str) -> None:
    response = client.get(path)
    assert in_envelope(response.status_code, response["Content-Type"], response.content, {}).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/jobs"),
        ("PUT", "/jobs"),
        ("DELETE", "/jobs"),
        ("PATCH", "/jobs"),
        ("OPTIONS", "/jobs"),
        ("FOO", "/jobs"),
        ("TRACE", "/jobs"),
        ("POST", "/job/1"),
        ("DELETE", "/job/1"),
        ("PATCH", "/job/1"),
        ("GET", "/job"),
        ("POST", "/job"),
        ("PUT", "/job"),
        ("POST", "/joblocks"),
        ("PUT", "/joblocks"),
        pytest.param("GET", "/device_syncto", marks=pytest.mark.devices),
        pytest.param("PUT", "/device_syncto", marks=pytest.mark.devices),
        pytest.param("DELETE", "/device_syncto", marks=pytest.mark.devices),
        pytest.param("GET", "/device_syncto/hostname/a", marks=pytest.mark.devices),
        pytest.param("get", "/device_syncto", marks=pytest.mark.devices),
    ],
)
def test_wrong_method_is_a_405_that_names_the_right_ones(api: Api, method: str, path: str) -> None:
    reply = api.request(method, path, {"name": "devices"})
    assert reply.status == 405
    assert method.upper() in reply.message
    assert (
        set(filter(None, reply.headers["Allow"].split(", ")))
        == {
            "/jobs": {"GET", "HEAD"},
            "/job/1": {"GET", "HEAD", "PUT"},
            "/job": set(),
            "/joblocks": {"GET", "HEAD", "DELETE"},
            "/device_syncto": {"POST"},
            "/device_syncto/hostname/a": {"POST"},
        }[path]
    )


def test_head_is_answered_as_get_without_a_body(client: Client) -> None:
    response = client.head(f"{API}/jobs")
    assert response.status_code == 200
    assert response["X-Total-Count"] == "0"


@pytest.mark.parametrize("method", ["PUT", "DELETE", pytest.param("POST", marks=pytest.mark.devices)])
@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"{'name': 'devices'}",
        b"\xff\xfe",
        b'{"name": NaN}',
        b'{"name": "\\ud800"}',
        b'{"a": 1,}',
        b"\x00",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"name": "a\\u0000b"}',
        b'{"a\\u0000": 1}',
        b'{"a": [{"b": "\\u0000"}]}',
        b"[]",
        b'"devices"',
        b"null",
        b"1",
        b"true",
    ],
)
def test_body_that_is_no_json_object_is_a_400(api: Api, method: str, raw: bytes) -> None:
    path = {
        "PUT": f"/job/{job_row('RUNNING').pk}",
        "DELETE": "/joblocks",
        "POST": "/device_syncto",
    }[method]
    reply = api.request(method, path, raw=raw)
    assert reply.status == 400
    assert "equest body" in reply.message or "NUL" in reply.message


def test_a_backslash_before_u0000_is_no_nul(api: Api) -> None:
    assert api.delete("/joblocks", raw=b'{"name": "a\\\\u0000"}').status == 404


def test_the_message_names_the_field_that_contains_a_nul(api: Api) -> None:
    assert "abort_reason" in api.put("/job/1", raw=b'{"action": "ABORT", "abort_reason": "a\\u0000b"}').message


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "",
        "x",
        "/",
        "application/jsonx",
        "text/plain; a=application/json",
        "application/json; charset=utf-16",
        "application/json; charset=rot13",
        "application/json; charset=bz2",
        "application/json; charset=nothing",
        "é" * 300,
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/joblocks"), pytest.param("POST", "/device_syncto", marks=pytest.mark.devices)]
)
def test_wrong_content_type_is_a_415(api: Api, method: str, path: str, content_type: str) -> None:
    assert api.request(method, path, {"name": "devices"}, content_type=content_type).status == 415


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"'],
)
def test_json_content_types_are_taken(api: Api, content_type: str) -> None:
    assert api.delete("/joblocks", {"name": "devices"}, content_type=content_type).status == 404


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "multipart/form-data"],
)
def test_content_type_of_a_get_does_not_matter(api: Api, content_type: str) -> None:
    assert api.get("/jobs", raw=b"{}", content_type=content_type).status == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "*/*;q=0", "a/b," * 2000])
def test_answers_are_json_whatever_is_accepted(api: Api, accept: str) -> None:
    assert api.get("/jobs", headers={"Accept": accept}).status == 200
    assert api.get("/nothing", headers={"Accept": accept}).status == 404
    assert api.get("/jobs?format=html").status == 200


@pytest.mark.parametrize(
    "host",
    ["evil example", "a@b", "a:b:c", "[::1", "a/b", "", "x" * 300 + "/", "exa\u00e5mple_.com!"],
)
def test_malformed_host_is_a_400(api: Api, host: str) -> None:
    assert api.get("/jobs", headers={"Host": host}).status == 400


def test_host_that_is_not_allowed_is_a_400(api: Api, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["jobs.example.org"]
    assert api.get("/jobs", headers={"Host": "other"}).status == 400
    assert api.get("/jobs", headers={"Host": "jobs.example.org"}).status == 200


@pytest.mark.parametrize("length", ["", "x", "-1", "1e3", "999999999999999999999999"])
def test_a_malformed_content_length_is_the_clients_error(api: Api, length: str) -> None:
    assert api.delete(
        "/joblocks", {"name": "devices"}, headers={"Content-Length": length}, CONTENT_LENGTH=length
    ).status in (400, 413)


@pytest.mark.devices
def test_oversized_body_is_a_413(api: Api) -> None:
    assert api.put("/job/1", {"action": "ABORT", "abort_reason": "x" * 3_000_000}).status == 413
    assert api.post("/device_syncto", {"comment": "x" * 3_000_000}).status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/jobs?page=" + "9" * 10_000,
        "/job/" + "9" * 10_000,
        "/jobs?per_page=" + "9" * 10_000,
        "/jobs?sort=" + "x" * 10_000,
    ],
)
def test_huge_values_in_the_url_get_a_short_answer(api: Api, path: str) -> None:
    reply = api.get(path)
    assert reply.status in (200, 400, 404)
    assert len(reply.raw) < 2000


@pytest.mark.parametrize(
    "query",
    [
        "%ff%fe=%ff",
        "filter[comment]=%ff",
        "sort=%ff",
        "\u00e5=\u00e5",
        "&&&=&=",
        "filter[comment][contains]=%ed%a0%80",
        "%",
    ],
)
def test_invalid_utf8_in_the_query_is_no_server_error(api: Api, query: str) -> None:
    assert api.get(f"/jobs?{query}").status in (200, 400)


@pytest.mark.parametrize(
    "job_id",
    [
        "0",
        "1",
        "-1",
        "x",
        "9223372036854775808",
        "1.0",
        "%00",
        "1%00",
        "%EF%BC%91",
        "1%0A",
        "1%202",
        "+1",
        "00001",
    ],
)
def test_job_that_is_not_there_is_a_404(api: Api, job_id: str) -> None:
    for reply in (api.get(f"/job/{job_id}"), api.put(f"/job/{job_id}", {"action": "ABORT"})):
        assert reply.status == 404
        assert reply.message.startswith("No job with id ")
        assert reply.message.endswith(" found")
    assert api.get("/job/17").message == "No job with id 17 found"


def test_a_browser_is_answered_as_a_page(client: Client) -> None:
    response = client.get("/nothing", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (response.status_code, response["Content-Type"]) == (404, "text/html; charset=utf-8")
    below = client.get(f"{API}/nothing", headers={"Accept": "text/html"})
    assert below["Content-Type"] == "application/json"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x"])
def test_a_compressed_body_is_refused(api: Api, encoding: str) -> None:
    reply = api.delete("/joblocks", {"name": "devices"}, headers={"Content-Encoding": encoding})
    assert (reply.status, encoding in reply.message) == (415, True)
    assert api.delete("/joblocks", {"name": "devices"}, headers={"Content-Encoding": "identity"}).status == 404


def test_our_own_fault_is_a_500_in_the_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("jobs.api.views.jobs_json", broken)
    response = Client(raise_request_exception=False).get(f"{API}/jobs")
    assert response.status_code == 500
    assert response.json() == {"status": "error", "message": "Internal server error"}
