"""Clients that come in large numbers, or disconnect in the middle: the process that serves the others survives."""

import contextlib
import socket
import struct
from collections.abc import Iterator

import psutil
import pytest

from tests.services.processes import Platform
from tests.waiting import wait_until
from tests.web.test_slow_clients import many_clients

pytestmark = pytest.mark.django_db(transaction=True)

BEGUN = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
JOBS = b"GET /api/v1.0/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
RESETS = struct.pack("ii", 1, 0)


class Served:
    """A web server, and the processes of it that answered first."""

    def __init__(self, platform: Platform, workers: int) -> None:
        self.platform = platform
        self.main = psutil.Process(platform.processes[-1].pid)
        wait_until(lambda: len(self.main.children()) == workers)
        self.workers = self.main.children()

    def check(self) -> None:
        """They are still the same, and answer."""
        for path in ("/healthz", "/api/v1.0/jobs"):
            assert self.platform.get(path, timeout=5)[0] == 200
        assert self.main.children() == self.workers, self.platform.processes[-1].output()
        assert "Traceback" not in self.platform.processes[-1].output()

    def clients(self) -> int:
        connected = [one for worker in self.workers for one in worker.net_connections("tcp")]
        return len([one for one in connected if one.status != psutil.CONN_LISTEN and one.laddr.port == self._port()])

    def _port(self) -> int:
        return int(self.platform.url.rpartition(":")[2])


@contextlib.contextmanager
def served(platform: Platform, *options: str, workers: int = 1) -> Iterator[Served]:
    platform.web(options=["--workers", str(workers), *options])
    found = Served(platform, workers)
    yield found
    found.check()


def test_connections_that_break_before_their_request_is_whole_are_forgotten(platform: Platform) -> None:
    with served(platform) as web, many_clients(platform, BEGUN, 5) as clients:
        wait_until(lambda: web.clients() == 5)
        web.check()  # what has come so far was looked at
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
            client.close()
        wait_until(lambda: web.clients() == 0)


def test_a_client_that_has_said_all_is_answered_at_once(platform: Platform) -> None:
    """Not when the time for the rest, which never comes, is over."""
    with served(platform), many_clients(platform, BEGUN, 1) as (client,):
        client.shutdown(socket.SHUT_WR)
        assert client.recv(4096) == b""
    with many_clients(platform, HEALTH + JOBS, 1) as (client,):
        client.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: client.recv(4096), b"")).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("sent", [b"", BEGUN, HEALTH], ids=["nothing", "a beginning", "a whole request"])
def test_whoever_waits_makes_room_for_others(platform: Platform, sent: bytes) -> None:
    with (
        served(platform, "--worker-connections", "40", "--keep-alive", "100") as web,
        many_clients(platform, sent, 200),
    ):
        for _ in range(10):
            web.check()


def test_two_processes_are_woken_and_one_of_them_was_first(platform: Platform) -> None:
    with served(platform, workers=2):
        for _ in range(20):
            with many_clients(platform, HEALTH, 20) as clients:
                assert {client.recv(12) for client in clients} == {b"HTTP/1.1 200"}


def test_a_process_that_may_have_1024_files_takes_no_more_connections_than_it_has_files_for(platform: Platform) -> None:
    with served(platform) as web:
        for worker in web.workers:
            worker.rlimit(psutil.RLIMIT_NOFILE, (1024, 1024))
        with many_clients(platform, BEGUN, 1100):
            web.check()
