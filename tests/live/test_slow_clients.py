"""Who opens a connection and does not send a whole request loses it; who listens keeps it."""

import socket

import pytest

from cnaasjobs.live import server
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
def test_a_request_that_does_not_end(live: Live, sent: bytes) -> None:
    with connected(live) as client:
        client.sendall(sent)
        assert is_closed(client)


def test_one_that_drips(live: Live) -> None:
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


def test_the_second_one_on_a_connection(live: Live) -> None:
    with connected(live) as client:
        client.sendall(HEAD + b"\r\n")
        assert b"404" in client.recv(65_536)
        client.sendall(HEAD)
        assert is_closed(client)


def test_who_listens_is_not_meant(live: Live) -> None:
    stream = live.stream().begin()
    stays(lambda: not stream.has_ended, seconds=1.5)
