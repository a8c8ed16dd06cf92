"""Clients that send slowly, or nothing, delay nobody else."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from knox.models import AuthToken

from cnaasjobs.web.deadlines import BODY_SECONDS
from cnaasjobs.web.worker import HEAD_SECONDS
from tests.factory import job_row
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
def many_clients(
    web: Platform, beginning: bytes, count: int = MANY, *, receive_bytes: int | None = None
) -> Iterator[list[socket.socket]]:
    host, port = web.url.removeprefix("http://").split(":")
    clients = [socket.socket() for _ in range(count)]
    try:
        for client in clients:
            client.settimeout(15)
            if receive_bytes:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            client.connect((host, int(port)))
            with contextlib.suppress(ConnectionError):  # it may be refused before it ends
                client.sendall(beginning)
        yield clients
    finally:
        for client in clients:
            client.close()


def drip(clients: list[socket.socket], *, seconds: float, then: bytes = b"x") -> Iterator[None]:
    """A byte of each, again and again."""
    until, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < until:
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(then)
        pause.wait(0.05)
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


def test_bodies_that_do_not_end_hold_up_nobody_else_and_have_a_total_time(web: Platform, token: str) -> None:
    post = (
        b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{" % token.encode()
    )
    with many_clients(web, post) as clients:
        for _ in drip(clients, seconds=3, then=b" "):
            all_is_well(web, token)
            assert web.post("/api/v1.0/device_syncto", {}, headers=bearer(token), timeout=5)[0] == 400
        for client in clients:
            client.settimeout(3 * BODY_SECONDS + 10)
        wait_until(lambda: clients[0].recv(4096).startswith(b"HTTP/1.1 400"), timeout=3 * BODY_SECONDS + 10)
    with many_clients(web, post, 1) as (alone,):  # nobody waits for its thread
        alone.settimeout(BODY_SECONDS + 10)
        assert alone.recv(4096).startswith(b"HTTP/1.1 400")


def test_bodies_that_do_not_end_make_way_for_one_that_does(web: Platform, token: str) -> None:
    """Else two times four of them would each have a thread for ten seconds."""
    post = (
        b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n" % token.encode()
    )
    with many_clients(web, post, 8), many_clients(web, post + b"2\r\n{}\r\n0\r\n\r\n", 1) as (client,):
        assert client.recv(4096).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("first", ["/healthz", "/api/v1.0/jobs"])
def test_the_head_of_a_next_request_takes_no_thread_either(web: Platform, token: str, first: str) -> None:
    """It came in one packet with the one before, so gunicorn's parser has its beginning already."""
    whole = b"GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % (first.encode(), token.encode())
    with many_clients(web, whole + HEAD) as clients:
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        for _ in drip(clients, seconds=2):
            all_is_well(web, token)


def test_two_requests_in_one_packet_are_both_answered(web: Platform, token: str) -> None:
    get = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s\r\n"
    both = get % (token.encode(), b"") + get % (token.encode(), b"Connection: close\r\n")
    with many_clients(web, both, 1) as (client,):
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_a_long_head_is_refused_before_it_ends(web: Platform, token: str) -> None:
    with many_clients(web, HEAD + b"x" * 8000 + (b"\r\nX-More: " + b"x" * 8000) * 4) as clients:
        all_is_well(web, token)
        assert clients[0].recv(4096).startswith(b"HTTP/1.1 431")


def test_answers_that_are_not_taken_hold_up_nobody_else(web: Platform, token: str) -> None:
    job_row("FINISHED", result=f'"{"x" * 6_000_000}"')
    get = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % token.encode()
    with many_clients(web, get, 24, receive_bytes=4096) as clients:
        wait_until(lambda: clients[0].recv(64).startswith(b"HTTP/1.1 200"), timeout=30)
        status, _, _ = web.get("/api/v1.0/jobs?filter[id]=0", headers=bearer(token), timeout=30)
        assert status == 200
        assert web.get("/healthz", timeout=5)[0] == 200


def test_more_connections_than_a_process_takes_delay_nobody(platform: Platform, token: str) -> None:
    platform.web(env={"CNAASJOBS_REQUIRE_TOKEN": "1", "GUNICORN_CMD_ARGS": "--worker-connections 40"})
    with many_clients(platform, b"", 300), many_clients(platform, HEAD, 100):
        for _ in range(20):
            all_is_well(platform, token)


def test_a_body_that_is_long_or_in_chunks_is_read(web: Platform, token: str) -> None:
    head = b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Authorization: Bearer %s\r\nConnection: close\r\n" % token.encode()
    body = b'{"hostname": "none", "comment": "%s"}' % (b"x" * 200_000)
    for rest in (
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
    ):
        with many_clients(web, head + rest, 1) as (client,):
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert b"comment" in answer.partition(b"\r\n\r\n")[2]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def all_is_well(web: Platform, token: str) -> None:
    assert web.get("/healthz", timeout=5)[0] == 200
    assert web.get("/api/v1.0/jobs", headers=bearer(token), timeout=5)[0] == 200
