"""A client that does not send a complete request in time is disconnected; a reader stays connected."""

import json
import socket
from contextlib import closing

import pytest
from websocket import create_connection

from cnaasjobs.live import front_ends, server
from jobs.models import JobLog
from tests.factory import job_row
from tests.live.conftest import Live
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

HEAD = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n"
STALLED = b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n4"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.5)


def connected(live: Live) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", live.port))
    client.settimeout(10)
    return client


def is_closed(client: socket.socket) -> bool:
    """It is waited for, as long as the timeout allows; what comes before is somebody's answer."""
    try:
        while client.recv(65_536):
            pass
        return True
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", HEAD, STALLED])
def test_a_client_whose_request_does_not_end_is_disconnected(live: Live, sent: bytes) -> None:
    with connected(live) as client:
        client.sendall(sent)
        assert is_closed(client)


def test_a_client_that_sends_byte_by_byte_is_disconnected(live: Live) -> None:
    """Each byte would begin uvicorn's own time anew."""
    with connected(live) as client:
        client.settimeout(0.05)

        def drips() -> bool:
            try:
                client.sendall(b"x")
                return client.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        client.sendall(HEAD + b"X-Long: ")
        wait_until(drips)


def test_a_client_whose_second_request_does_not_end_is_disconnected(live: Live) -> None:
    with connected(live) as client:
        client.sendall(HEAD + b"\r\n")
        assert b"404" in client.recv(65_536)
        client.sendall(HEAD)
        assert is_closed(client)


def test_lines_that_a_client_does_not_take_are_dropped_and_then_the_client_is(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """socket.io's own queue has no bound."""
    monkeypatch.setattr(front_ends, "LINES_UNTIL", 5)
    url = f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket"
    with closing(create_connection(url, timeout=30, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])) as client:
        client.send("40")
        client.send('42["events",{"loglevel":"DEBUG"}]')
        wait_until(lambda: [each for each in live.front_ends._clients.values() if each.wants_line("DEBUG")])
        (sid,) = live.front_ends._clients
        line = ["2026-11-26T20:00:00.000001", "INFO", "site", None, "x" * 10_000]
        JobLog.objects.create(job=job_row(), lines=200, size=9, text=json.dumps([line] * 200))
        wait_until(lambda: live.front_ends._waiting(sid) > 5)
        stays(lambda: live.front_ends._waiting(sid) == 6, seconds=0.5)
        assert sid in live.front_ends._clients
        monkeypatch.setattr(front_ends, "MESSAGES_UNTIL", 5)
        job_row()
        wait_until(lambda: sid not in live.front_ends._clients)


def test_a_reader_of_a_stream_stays_connected(live: Live) -> None:
    stream = live.stream().begin()
    stays(lambda: not stream.has_ended, seconds=1.5)
