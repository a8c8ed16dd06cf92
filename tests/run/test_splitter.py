"""One port: requests reach the web server and the events process unchanged, and so do the answers their client."""

import http.client
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from shutil import rmtree

import pytest
import socketio
from django.db import connection
from pytest_django import DjangoDbBlocker

from cnaasjobs.live.server import _peer
from cnaasjobs.web.heads import Head
from tests.live.conftest import Stream
from tests.services import scratch_directory
from tests.services.front import Front
from tests.services.processes import Platform
from tests.switching import database_url
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)  # so that there is a database for the servers

JOBS = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def front(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Front]:
    with django_db_blocker.unblock():
        url = database_url()
        connection.close()
    directory = scratch_directory("front")
    front = Front(Platform(database_url=url, broker_url="redis+socket:///nowhere", directory=directory), directory)
    yield front
    front.stop()
    rmtree(directory, ignore_errors=True)


def answer(port: int, raw: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(raw)
        parts = iter(lambda: client.recv(65536), b"")
        return re.sub(rb"Date: [^\r]+\r\n|:%d\b" % port, b"", b"".join(parts))  # its own port is in Link


@pytest.mark.parametrize(
    "raw",
    [
        JOBS + b"Connection: close\r\n\r\n",
        b"HEAD /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        JOBS.replace(b"GET", b"BREW") + b"Connection: close\r\n\r\n",
        JOBS + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        JOBS + b"Content-Length: x\r\n\r\n",
        JOBS + b"X: " + b"x" * 20_000 + b"\r\n\r\n",
        JOBS.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"GET /api/v1.0/jobs?" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /api/v1.0/jobs HTTP/9.9\r\n\r\n",
        b"GET /api/v1.0/jobs HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n" + JOBS + b"Connection: close\r\n\r\n",
        JOBS.replace(b"/jobs", b"/eventsomething") + b"Connection: close\r\n\r\n",
    ],
)
def test_what_the_web_server_answers_comes_as_it_is(front: Front, raw: bytes) -> None:
    direct = answer(front.direct, raw)
    if raw.startswith(b"PROXY"):  # from a client it is no request line
        assert answer(front.port, raw).startswith(b"HTTP/1.1 400 ")
    else:
        assert answer(front.port, raw) == direct


def test_each_request_of_a_connection_that_is_kept_finds_its_way(front: Front) -> None:
    """A client that asks for more is told to connect anew."""
    assert b"\r\nConnection: close\r\n" in answer(front.port, JOBS + b"Connection: keep-alive\r\n\r\n")


def test_a_long_body_and_a_long_answer_pass_whole(front: Front) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)) as client:
        client.request("DELETE", "/api/v1.0/joblocks", b"{" + b" " * 1_000_000, {"Content-Type": "application/json"})
        assert client.getresponse().status == 400
    with closing(http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)) as client:
        client.request("GET", "/static/admin/css/base.css")
        reply = client.getresponse()
        assert len(reply.read()) == int(reply.headers["Content-Length"]) > 10_000


def test_events_and_socket_io_come_from_the_events_process(front: Front) -> None:
    stream = Stream(front.port)
    stream.begin()
    assert stream.events[0].name == "position"
    stream.close()
    client = socketio.Client(reconnection=False)
    client.connect(f"http://127.0.0.1:{front.port}?jwt=null", wait_timeout=10)
    wait_until(lambda: client.transport() == "websocket")
    client.disconnect()


def test_the_clients_address_is_passed_on(front: Front) -> None:
    """Behind a socket of their own, both would take each client for one of this machine."""
    assert _peer(b"PROXY TCP6 2001:db8::1 ::1 50000 8000") == ("2001:db8::1", 50000)
    assert _peer(b"GET / HTTP/1.1") is None
    refused = b"HTTP/1.1 403 "
    for path, route in (("w.sock", b"/api/v1.0/jobs"), ("e.sock", b"/api/v1.0/events")):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(front.platform.directory / path))
            head = b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\nGET %s HTTP/1.1\r\nHost: localhost\r\n" % route
            client.sendall(head + b"Connection: close\r\n\r\n")
            assert client.recv(100).startswith(refused)


@pytest.mark.parametrize(
    "begins",
    [
        JOBS + b"Connection: close\r\n\r\n",
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP4 203.0.113.9 127.0.0.1 1\r\n",
        b"PROXY TCP4 203.0.113.9 127.0.0.1 x 2\r\n",
        b"HELLO TCP4 203.0.113.9 127.0.0.1 1 2\r\n",
        b"PROXY " + b"x" * 200,  # its end is not waited for
    ],
)
def test_a_proxy_that_does_not_say_who_asks_is_not_answered(front: Front, begins: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)  # less than a request may take
        client.connect(str(front.platform.directory / "e.sock"))
        client.sendall(begins)
        assert client.recv(100) == b""
    assert "Traceback" not in front.events.output()


def test_health_has_its_own_threads_behind_a_proxy_line_too() -> None:
    head = Head.of(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /readyz HTTP/1.1\r\n\r\n")
    assert head is not None
    assert head.is_health


def test_readiness_does_not_wait_for_the_events_process(front: Front) -> None:
    front.events.kill()
    assert b"200 OK" in answer(front.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    front.platform.processes.remove(front.events)
    front.events = front.platform.events(bind=f"unix:{front.platform.directory / 'e.sock'}", proxied=True)
    stream = Stream(front.port)  # waits meanwhile
    stream.begin().close()
