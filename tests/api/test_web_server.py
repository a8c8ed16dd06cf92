"""The real web server: requests that are not HTTP, chunked bodies, static files, JSON logs."""

import json
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests.api.conftest import in_envelope
from tests.services import scratch_directory
from tests.services.processes import Platform
from tests.switching import database_url

GET = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\n"
DELETE = b"DELETE /api/v1.0/joblocks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


pytestmark = pytest.mark.django_db(transaction=True)  # so that there is a database for the server


@pytest.fixture(scope="module")
def web(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Platform]:
    with django_db_blocker.unblock():
        url = database_url()
        connection.close()
    directory = scratch_directory("web")
    platform = Platform(database_url=url, broker_url="redis+socket:///nowhere", directory=directory)
    platform.web()
    yield platform
    platform.stop()
    shutil.rmtree(directory)


def send(web: Platform, raw: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer to these bytes."""
    host, port = web.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split()[1]), headers["content-type"], body


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (GET + b"Content-Length: x\r\n\r\n", 400),
        (GET + b"Content-Length: -1\r\n\r\n", 400),
        (GET + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),  # Python does not make a number of it
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (GET + b"Transfer-Encoding: x\r\n\r\n", 501),
        (GET + b"Bad Header: x\r\n\r\n", 400),
        (GET + b"X: \x00\r\n\r\n", 400),
        (GET + b"X: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (GET + b"".join(b"X%d: x\r\n" % number for number in range(200)) + b"\r\n", 431),
        (b"GET /api/v1.0/jobs?" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /api/v1.0/jobs HTTP/9.9\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"G\xc3T /api/v1.0/jobs HTTP/1.1\r\n\r\n", 400),
        (b"get /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", 400),
        (b"GET /api/v1.0/jobs HTTP/1.0\r\n\r\n", 200),
        (b"GET /api/v1.0/jobs?filter[comment]=" + b"x" * 8000 + b" HTTP/1.0\r\n\r\n", 200),
        (b"GET /api/v1.0/jobs HTTP/1.0\r\nSCRIPT_NAME: /api\r\n\r\n", 200),  # a client's word about a proxy's part
        (b"GET /api/v1.0/jobs HTTP/1.0\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n", 200),
        (DELETE + b"Content-Length: 30\r\n\r\n{", 400),
        (DELETE + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (DELETE + b"Content-Length: 99999999999\r\nConnection: close\r\n\r\n{}", 413),
    ],
)
def test_what_is_no_http_gets_the_envelope_too(web: Platform, raw: bytes, expected: int) -> None:
    status, content_type, body = send(web, raw)
    assert status == expected, body
    in_envelope(status, content_type, body, {})


@pytest.mark.parametrize("charset", ["rot13", "idna", "undefined", "utf-16", "cp037", "utf-8", "nothing", ""])
def test_charset_of_a_body_does_not_decode_the_query(web: Platform, charset: str) -> None:
    def get(query: str) -> tuple[int, str, bytes]:
        head = f"GET /api/v1.0/jobs?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        body = f"Content-Type: application/json; charset={charset}\r\nContent-Length: 2\r\n\r\n{{}}"
        return send(web, (head + body).encode())

    status, _, answer = get("filter[comment]=%C3%A5")
    assert (status, json.loads(answer)["data"]) == (200, {"jobs": []})
    status, _, answer = get("&a" * 1001)
    assert (status, json.loads(answer)["message"]) == (400, "Too many parameters")


def test_a_chunked_body_is_read(web: Platform) -> None:
    def chunked(body: bytes) -> tuple[int, str, bytes]:
        return send(
            web,
            DELETE
            + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        )

    status, _, answer = chunked(b'{"name": "devices"}')
    assert (status, json.loads(answer)["message"]) == (404, "No such lock found in database")
    assert chunked(b'{"name": "' + b"x" * 3_000_000 + b'"}')[0] == 413


def test_static_files_of_the_admin_are_served(web: Platform) -> None:
    with urllib.request.urlopen(f"{web.url}/static/admin/css/base.css") as response:
        assert response.headers["Content-Type"].startswith("text/css")
    with urllib.request.urlopen(f"{web.url}/") as response:
        assert response.url.endswith("/jobs")
    with urllib.request.urlopen(f"{web.url}/admin") as response:
        assert response.status == 200


def test_every_line_of_the_log_is_json(web: Platform) -> None:
    send(web, b"nonsense\r\n\r\n")
    lines: list[dict[str, Any]] = [json.loads(line) for line in web.processes[0].output().splitlines()]
    assert lines
    for line in lines:
        assert {"time", "level", "logger", "message"} <= line.keys()
