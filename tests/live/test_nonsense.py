"""Invalid input on the port of the events process causes at most one line in the log every few seconds."""

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import BytesMessage, CloseConnection, Request, TextMessage

from cnaasjobs.live import nonsense, strangers
from cnaasjobs.live.actions import LiveAction
from tests.live.conftest import Live
from tests.live.front_end import Connect, connect, subscribed
from tests.waiting import wait_until

__all__ = ["connect"]

pytestmark = pytest.mark.django_db(transaction=True)

POLLING = "/socket.io/?EIO=4&transport=polling"
SOCKET = "/socket.io/?EIO=4&transport=websocket"
DEEP = "[" * 50_000
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

REQUESTS = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no method": b" / HTTP/1.1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "no number as length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    "a long line": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    "unknown method": f"BREW {POLLING} HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "another version": b"GET /socket.io/?EIO=3 HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown transport": b"GET /socket.io/?EIO=4&transport=pigeon HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown session": f"POST {POLLING}&sid=x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n4".encode(),
    "an odd origin": f"GET {POLLING} HTTP/1.1\r\nHost: a\r\nOrigin: http://[\r\n\r\n".encode(),
    "a strange host": f"GET {SOCKET} HTTP/1.1\r\nHost: \xff\xfe\r\n{UPGRADE}\r\n".encode("latin-1"),
    "a host of no name": f"GET {SOCKET} HTTP/1.1\r\nHost: xn--\xff.a\r\n{UPGRADE}\r\n".encode("latin-1"),
    "a strange protocol": f"GET {SOCKET} HTTP/1.1\r\nHost: a\r\n{UPGRADE}Sec-WebSocket-Protocol: \xff\r\n\r\n".encode(
        "latin-1"
    ),
    "another upgrade": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "a socket elsewhere": f"GET /api/v1.0/events HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n".encode(),
    "a number that is none": b"GET /api/v1.0/events?job=\xc2\xb2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown kind": b"GET /api/v1.0/events?kind=%ff&after=%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a broken position": b"GET /api/v1.0/events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: \xff.9-9-x\r\n\r\n",
    "a broken token": b"GET /api/v1.0/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\r\n\r\n",
    "a broken cookie": b"GET /api/v1.0/events HTTP/1.1\r\nHost: a\r\nCookie: sessionid=\xff; =\r\n\r\n",
}
NO_HTTP = ("no HTTP", "no method", "two lengths", "no number as length")
MESSAGES: dict[str, str | bytes] = {
    "no type": "x",
    "a type that is none": "9",
    "of the server": "0{}",
    "empty": "",
    "bad base64": "b!",
    "deep": f"4{DEEP}",
    "no socket.io": "4x",
    "unknown to socket.io": "49",
    "an error": "44",
    "an event of nothing": "42",
    "an event of no list": "42{}",
    "an event without a name": "42[]",
    "an event whose name is none": "42[{}]",
    "an unknown event": '42["format","c:"]',
    "the server's own event": '42["connect","me"]',
    "the server's other event": '42["disconnect"]',
    "too many wishes": '42["events",1,2,3]',
    "a wish that is none": '42["events",{"update":{},"loglevel":[]}]',
    "an answer to nothing": '4399["a"]',
    "bad JSON": '42["events",',
    "deep JSON": f"42{DEEP}",
    "a long number": f"42{'9' * 200}[]",
    "another room": "40/nowhere,{}",
    "a binary event": '451-["events",{"_placeholder":true,"num":7}]',
    "bytes": b"\x00\xff",
    "once more": "40",
}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(strangers, "SECONDS", 0.2)
    nonsense.tell()
    yield
    nonsense.tell()


class Client:
    """A WebSocket by the protocol's own library: it sends what socket.io's client would not."""

    def __init__(self, live: Live) -> None:
        self._socket = socket.create_connection(("127.0.0.1", live.port), timeout=10)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self.got: list[str] = []
        self.is_closed = False
        self.send(Request(host="localhost", target=SOCKET))
        self.read_until(lambda: self.got)

    def send(self, event: Any) -> None:
        self._socket.sendall(self._protocol.send(event))

    def say(self, message: str | bytes) -> None:
        self.send(TextMessage(message) if isinstance(message, str) else BytesMessage(message))

    def read_until(self, condition: Callable[[], Any]) -> None:
        while not condition() and not self.is_closed:
            data = self._socket.recv(65_536)
            self._protocol.receive_data(data or None)  # None: it is closed
            for event in self._protocol.events():  # and an AcceptConnection at first
                if isinstance(event, TextMessage):
                    self.got.append(event.data)
                self.is_closed |= isinstance(event, CloseConnection)
            self.is_closed |= not data

    def close(self) -> None:
        self._socket.close()


def unfit(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Lines that a stranger must not be able to have written: as many as they like, or of many lines each."""
    return [
        f"{record.name}: {record.getMessage()} {record.exc_info}"
        for record in caplog.records
        if record.levelno >= logging.WARNING or record.exc_info or len(record.getMessage()) > 500
    ]


def counted(caplog: pytest.LogCaptureFixture) -> int:
    return sum(
        record.__dict__["count"] for record in caplog.records if record.__dict__.get("action") == LiveAction.NONSENSE
    )


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """engineio logs some of it once a process, whoever was first: not here."""
    caplog.set_level(logging.INFO)
    return caplog


def test_invalid_requests_fill_no_log(live: Live, quiet: pytest.LogCaptureFixture) -> None:
    refused: dict[str, Any] = {}
    for name, request in REQUESTS.items():
        with closing(socket.create_connection(("127.0.0.1", live.port), timeout=10)) as client:
            client.sendall(request)
            with suppress(ConnectionResetError):  # after what could not be read
                head, _, body = client.recv(65_536).partition(b"\r\n\r\n")
                if head.startswith(b"HTTP/1.1 400 ") and b"\r\nConnection: close\r\n" in head:  # no HTTP, or too long
                    refused[name] = json.loads(body)
        assert unfit(quiet) == [], name
    wait_until(lambda: counted(quiet))
    envelope = {"status": "error", "message": "Invalid HTTP request received."}
    assert {name: refused.get(name) for name in NO_HTTP} == dict.fromkeys(NO_HTTP, envelope)
    assert live.stream().begin().status == 200


@pytest.mark.parametrize("is_admitted", [True, False])
def test_invalid_messages_fill_no_log(live: Live, quiet: pytest.LogCaptureFixture, is_admitted: bool) -> None:
    for name, message in MESSAGES.items():
        with closing(Client(live)) as client:
            if is_admitted:
                client.say("40")
                client.read_until(lambda: any(each.startswith("40") for each in client.got))
            client.say(message)
        wait_until(lambda: not live.front_ends.server.eio.sockets, message=lambda: name)  # noqa: B023
        assert unfit(quiet) == [], name
    wait_until(lambda: counted(quiet) > len(MESSAGES) / 2)


def test_invalid_posts_fill_no_log(live: Live, quiet: pytest.LogCaptureFixture) -> None:
    said = [each.encode() if isinstance(each, str) else each for each in MESSAGES.values()]
    for body in [*said, b"\xff", b"d=", b"4\x1e" * 99, b"4" * (strangers.LARGEST_MESSAGE + 1)]:
        sid = opened(live)
        for _ in range(2):
            head = f"POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
            assert answer(live, head.encode(), body).startswith(b"HTTP/1.1 ")
        assert unfit(quiet) == [], body[:40]
    wait_until(lambda: counted(quiet) > len(said) / 2)


def test_a_post_that_ends_too_early_is_counted_and_fills_no_log(live: Live, quiet: pytest.LogCaptureFixture) -> None:
    sid = opened(live)
    with closing(socket.create_connection(("127.0.0.1", live.port))) as client:
        client.sendall(f"POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n42[".encode())
    wait_until(lambda: counted(quiet))
    assert unfit(quiet) == []


def test_a_flood_is_one_line(live: Live, connect: Connect, quiet: pytest.LogCaptureFixture) -> None:
    """And who speaks sense is served meanwhile."""
    honest = connect()
    with closing(Client(live)) as client:
        client.say("40")
        for _ in range(500):
            client.say('42["format"]')
        wait_until(lambda: counted(quiet) >= 500)
    lines = [each for each in quiet.records if each.__dict__.get("action") == LiveAction.NONSENSE]
    assert len(lines) < 250
    assert lines[0].__dict__["kinds"].keys() == {"event"}
    subscribed(honest, live)


def test_a_connection_that_connects_twenty_times_is_one_client(live: Live, quiet: pytest.LogCaptureFixture) -> None:
    with closing(Client(live)) as client:
        for _ in range(20):
            client.say("40")
        wait_until(lambda: counted(quiet) >= 19)
        assert len(live.front_ends._clients) == 1


def test_nothing_is_kept_for_parts_that_may_never_come(live: Live, quiet: pytest.LogCaptureFixture) -> None:
    with closing(Client(live)) as client:
        client.say("40")
        for _ in range(3):
            client.say('451-["events",{"_placeholder":true,"num":0}]')
        wait_until(lambda: counted(quiet) == 3)
        assert live.front_ends.server._binary_packet == {}


def test_our_own_mistake_is_told_once_a_while(
    live: Live, quiet: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise LookupError("ours")

    monkeypatch.setitem(live.front_ends.server.handlers["/"], "events", broken)
    monkeypatch.setattr(nonsense, "tell", lambda: None)  # nor does the time between two of these lines end
    with closing(Client(live)) as client:
        client.say("40")
        for _ in range(20):
            client.say('42["events",{}]')
        wait_until(lambda: nonsense._seen["mistake"] == 19)
    told = [each for each in quiet.records if each.__dict__.get("action") == LiveAction.HANDLER_FAILED]
    assert [each.exc_info is not None for each in told] == [True]


def opened(live: Live) -> str:
    """A session of polling, admitted."""
    found = re.search(rb'"sid":"([^"]+)"', answer(live, f"GET {POLLING} HTTP/1.1\r\nHost: a\r\n".encode()))
    assert found is not None
    sid = found[1].decode()
    answer(live, f"POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n".encode(), b"40")
    return sid


def answer(live: Live, head: bytes, body: bytes = b"") -> bytes:
    with closing(socket.create_connection(("127.0.0.1", live.port), timeout=10)) as client:
        client.sendall(head + b"Connection: close\r\n\r\n" + body)
        with client.makefile("rb") as found:
            return found.read()
