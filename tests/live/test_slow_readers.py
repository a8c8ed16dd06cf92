"""A client that reads nothing of what is sent to it costs a connection for some seconds, and then nothing."""

import json
import logging
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial

import pytest
import requests
from websocket import create_connection

from cnaasjobs.live import server
from cnaasjobs.live.actions import LiveAction
from jobs.models import JobLog
from tests.factory import job_row
from tests.live.conftest import Live
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LINE = ["2026-11-26T20:00:00.000001", "INFO", "site", None, "x" * 10_000]
SMALL = (socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


def of_events(live: Live) -> socket.socket:
    client = socket.socket()
    client.setsockopt(*SMALL)
    client.connect(("127.0.0.1", live.port))
    client.sendall(b"GET /api/v1.0/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


def of_socket_io(live: Live) -> socket.socket:
    url = f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket"
    client = create_connection(url, timeout=30, sockopt=[SMALL])
    client.send("40")
    client.send('42["events",{"loglevel":"DEBUG"}]')
    wait_until(lambda: [each for each in live.front_ends._clients.values() if each.wants_line("DEBUG")])
    assert client.sock is not None
    return client.sock


@pytest.mark.parametrize(("what", "connected"), [("events", of_events), ("socket.io", of_socket_io)])
def test_one_that_takes_nothing_loses_its_connection(
    live: Live,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
    connected: Callable[[Live], socket.socket],
) -> None:
    """At once, with what is left for it: it never takes that."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(server, "SEND_SECONDS", 0.3)
    with closing(connected(live)) as client:
        wait_until(lambda: live.front_ends._poller._listeners)
        JobLog.objects.create(job=job_row(), lines=200, size=9, text=json.dumps([LINE] * 200))
        wait_until(partial(_has_gone, live))
        client.settimeout(20)
        taken = 0
        with suppress(ConnectionResetError):
            for part in iter(partial(client.recv, 65_536), b""):
                taken += len(part)
    assert taken < 1_000_000  # of two: what the kernel had
    dropped = [each for each in caplog.records if each.__dict__.get("action") == LiveAction.READER_DROPPED]
    assert {each.__dict__["what"] for each in dropped} == {what}
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


def test_one_that_is_closed_does_not_stay_until_it_takes_the_rest(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little that is: it never takes it."""
    monkeypatch.setattr(server, "SEND_SECONDS", 0.3)
    url = f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket"
    with closing(create_connection(url, timeout=30, sockopt=[SMALL])) as client:
        (connection,) = live.server.server_state.connections
        transport = connection.transport
        while not transport.get_write_buffer_size() and not transport.is_closing():
            for _ in range(100):
                client.ping(b"x" * 125)
            requests.get(f"{live.url}/nowhere", timeout=20)  # they were read, and answered
        client.send("no packet")
        wait_until(lambda: not live.server.server_state.connections)


def _has_gone(live: Live) -> bool:
    """Asked after it was told more."""
    job_row()
    return not live.front_ends._poller.listening
