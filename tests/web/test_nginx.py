"""nginx as configured in deploy/, in front of the real web server: slow clients never reach the web server."""

import contextlib
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import socketio
from django.contrib.auth.models import Permission, User
from knox.models import AuthToken

from jobs.models import AuditEntry, Job
from tests.factory import job_row
from tests.services import Nginx
from tests.services.certificates import issue
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs("nginx")]

PROXIED = {
    "CNAASJOBS_REQUIRE_TOKEN": "1",
    "CNAASJOBS_PROXY_SSL_HEADER": "X-Forwarded-Proto",
    "CNAASJOBS_TRUSTED_PROXIES": "127.0.0.1",
}
MANY = 48  # three times the threads of all processes


@pytest.fixture
def token() -> str:
    user = User.objects.create_user("ann")
    for codename in ("add_job", "view_job", "abort_job"):
        user.user_permissions.add(Permission.objects.get(codename=codename))
    return str(AuthToken.objects.create(user)[1])


@pytest.fixture
def nginx(platform: Platform, scratch: Path, token: str) -> Iterator[Nginx]:
    platform.web(env=PROXIED)
    with _in_front_of(platform, scratch) as server:
        yield server


def _in_front_of(platform: Platform, scratch: Path) -> Nginx:
    web, events = (url.removeprefix("http://") or "127.0.0.1:1" for url in (platform.url, platform.events_url))
    addresses = {"127.0.0.1:8000": web, "127.0.0.1:8001": events}
    return Nginx(scratch / "nginx", addresses=addresses, certificate=issue(scratch))


def asked(
    nginx: Nginx,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    token: str = "",
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Status, headers, parsed body."""
    own = {"Content-Type": "application/json", "Host": "localhost", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(nginx.url + path, body, {**own, **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10, context=nginx.context()) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.loads(error.read())


@contextlib.contextmanager
def many_clients(nginx: Nginx, beginning: bytes, count: int = MANY) -> Iterator[list[ssl.SSLSocket]]:
    clients = []
    try:
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", nginx.port), timeout=5)
            clients.append(nginx.context().wrap_socket(plain, server_hostname="127.0.0.1"))
            clients[-1].sendall(beginning)
        yield clients
    finally:
        for client in clients:
            client.close()


def connections_of(web: Platform) -> int:
    """How many clients the web server has just now."""
    port = int(web.url.rpartition(":")[2])
    found = psutil.net_connections("tcp")
    return sum(1 for each in found if each.laddr and each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED)


def test_a_slow_client_does_not_reach_the_web_server(nginx: Nginx, platform: Platform, token: str) -> None:
    head = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    post = (
        b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{" % token.encode()
    )
    with many_clients(nginx, head) as heads, many_clients(nginx, post) as bodies:
        for _ in range(3):
            for client in (*heads, *bodies):
                client.send(b" ")
            status, _, _ = asked(nginx, "/api/v1.0/jobs", token=token)
            assert status == 200
            wait_until(lambda: connections_of(platform) == 0, timeout=10)  # gunicorn lets go of ours a moment later
        assert not Job.objects.exists()


def test_a_client_that_reads_slowly_holds_no_thread(nginx: Nginx, platform: Platform, token: str) -> None:
    """An answer of 30 MB is more than sockets hold."""
    job_row("FINISHED", result=f'"{"x" * 30_000_000}"')
    get = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % token.encode()
    with many_clients(nginx, get, 4) as clients:
        wait_until(lambda: connections_of(platform) == 0, timeout=30)
        assert clients[0].recv(100).startswith(b"HTTP/1.1 200")


def test_what_a_client_says_of_where_it_came_from_goes_no_further(nginx: Nginx, token: str) -> None:
    job = job_row("SCHEDULED")
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil"}
    forged |= {"SCRIPT_NAME": "/evil", "X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "http"}
    abort = b'{"action": "ABORT"}'
    status, _, _ = asked(nginx, f"/api/v1.0/job/{job.pk}", method="PUT", body=abort, token=token, headers=forged)
    assert status == 200
    assert AuditEntry.objects.get(job_id=job.pk).origin == "127.0.0.1"
    job_row("FINISHED")
    _, headers, _ = asked(nginx, "/api/v1.0/jobs?per_page=1", token=token, headers=forged)
    assert "https://localhost/api/v1.0/jobs?" in headers["Link"]


def test_plain_http_is_sent_on(nginx: Nginx) -> None:
    with socket.create_connection(("127.0.0.1", nginx.plain_port), timeout=5) as client:
        client.sendall(b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: jobs.example.org\r\nContent-Length: 0\r\n\r\n")
        answer = client.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 308")
    assert "Location: https://jobs.example.org/api/v1.0/device_syncto\r\n" in answer
    assert "Server: nginx\r\n" in answer  # without its version


def test_its_own_refusals_are_in_the_apis_words(nginx: Nginx, platform: Platform, token: str) -> None:
    status, headers, body = asked(nginx, "/api/v1.0/device_syncto", method="POST", body=b" " * 3_000_000)
    assert (status, body) == (413, {"status": "error", "message": "Request body is too large"})
    assert headers["Content-Type"] == "application/json"
    status, _, body = asked(nginx, f"/api/v1.0/jobs?{'x' * 10_000}")
    assert (status, body) == (414, {"status": "error", "message": "Request line is too long"})
    status, _, body = asked(nginx, "/api/v1.0/jobs", headers={"X-Long": "x" * 10_000})
    assert (status, body) == (431, {"status": "error", "message": "A header is too long"})
    status, body = _asked_in_plain(nginx, "/api/v1.0/jobs")
    assert (status, body) == (400, {"status": "error", "message": "The request could not be read"})
    platform.stop()
    status, _, body = asked(nginx, "/api/v1.0/jobs", token=token)
    assert (status, body) == (502, {"status": "error", "message": "The web server does not answer, try again"})


def _asked_in_plain(nginx: Nginx, path: str) -> tuple[int, Any]:
    """HTTP on the port of HTTPS."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{nginx.url.replace('https', 'http')}{path}", timeout=10)
    with refused.value as error:
        return error.code, json.loads(error.read())


def test_a_token_in_the_url_of_socket_io_is_in_no_log(nginx: Nginx) -> None:
    """While nobody serves events nginx has an error to tell of each request."""
    status, _, _ = asked(nginx, "/socket.io/?EIO=4&transport=polling&jwt=geheim")
    assert status == 502
    assert "geheim" not in (nginx.directory / "nginx.log").read_text()


def test_live_events_pass_nginx_as_they_come(platform: Platform, scratch: Path, token: str) -> None:
    """As they come, not when a buffer is full; and WebSockets."""
    platform.web(env=PROXIED)
    events = platform.events(env=PROXIED)
    wait_until(lambda: _answers(platform.events_url), timeout=60, message=events.output)
    with _in_front_of(platform, scratch) as nginx:
        address = f"{nginx.url}/api/v1.0/events"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}", "Host": "localhost"})
        with urllib.request.urlopen(request, timeout=10, context=nginx.context()) as stream:
            assert stream.readline() == b"event: position\n"
            job = job_row()
            while not (line := stream.readline()).startswith(b'data: {"id"'):
                pass
            assert json.loads(line.removeprefix(b"data: "))["id"] == job.pk
        authority = str(nginx.certificate.authority)
        with requests.Session() as session:
            session.trust_env, session.verify = False, authority
            client = socketio.Client(
                reconnection=False,
                http_session=session,
                websocket_extra_options={"sslopt": {"ca_certs": authority}},
            )
            client.connect(f"{nginx.url}?jwt={token}", wait_timeout=10)
            wait_until(lambda: client.transport() == "websocket")
            client.disconnect()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/api/v1.0/events", timeout=3).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 401
    except OSError:
        return False
    return False
