"""Clients that send slowly, or nothing, hold up nobody else."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from knox.models import AuthToken

from cnaasjobs.web.deadlines import BODY_SECONDS
from cnaasjobs.web.worker import HEAD_SECONDS
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 24  # three times the threads of a web server


@pytest.fixture
def token() -> str:
    user = User.objects.create_user("ann")
    user.user_permissions.add(Permission.objects.get(codename="add_job"), Permission.objects.get(codename="view_job"))
    return str(AuthToken.objects.create(user)[1])


@pytest.fixture
def web(platform: Platform, token: str) -> Platform:
    platform.web(env={"CNAASJOBS_REQUIRE_TOKEN": "1"})
    return platform


@contextlib.contextmanager
def many_clients(web: Platform, beginning: bytes) -> Iterator[list[socket.socket]]:
    host, port = web.url.removeprefix("http://").split(":")
    clients = [socket.create_connection((host, int(port)), timeout=5) for _ in range(MANY)]
    try:
        for client in clients:
            client.sendall(beginning)
        yield clients
    finally:
        for client in clients:
            client.close()


def drip(clients: list[socket.socket], *, seconds: float, then: bytes = b"x") -> Iterator[None]:
    """A byte of each, again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(then)
        yield


HEAD = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


@pytest.mark.parametrize("beginning", [b"", HEAD])
def test_heads_that_do_not_end_take_no_thread(web: Platform, token: str, beginning: bytes) -> None:
    with many_clients(web, beginning) as clients:
        for _ in drip(clients if beginning else [], seconds=3 if beginning else 0):
            status, _, _ = web.get("/api/v1.0/jobs", headers={"Authorization": f"Bearer {token}"}, timeout=5)
            assert status == 200
        assert web.get("/healthz", timeout=5)[0] == 200
        assert web.get("/api/v1.0/jobs", headers={"Authorization": f"Bearer {token}"}, timeout=5)[0] == 200


def test_a_head_has_a_total_time(web: Platform) -> None:
    with many_clients(web, HEAD) as clients:
        for _ in drip(clients, seconds=HEAD_SECONDS + 1):
            pass
        wait_until(lambda: b"408 Request Timeout" in clients[0].recv(4096), timeout=5)


def test_without_credentials_no_body_is_read(web: Platform) -> None:
    """The answer is there although the body is not."""
    post = b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for length in (b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n"):
        with many_clients(web, post + length) as clients:
            answers = [client.recv(4096) for client in clients]
        assert all(answer.startswith(b"HTTP/1.1 401") for answer in answers)


def test_bodies_that_do_not_end_leave_health_to_be_asked_and_have_a_total_time(web: Platform, token: str) -> None:
    post = (
        b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{" % token.encode()
    )
    with many_clients(web, post) as clients:
        for _ in drip(clients, seconds=3, then=b" "):
            assert web.get("/healthz", timeout=5)[0] == 200
        for client in clients:
            client.settimeout(3 * BODY_SECONDS + 10)
        wait_until(lambda: clients[0].recv(4096).startswith(b"HTTP/1.1 400"), timeout=3 * BODY_SECONDS + 10)
        headers = {"Authorization": f"Bearer {token}"}
        wait_until(lambda: web.get("/api/v1.0/jobs", headers=headers, timeout=5)[0] == 200, timeout=60)
