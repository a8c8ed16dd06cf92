"""A port that was handed out stays free until the service that it is for starts, however long that takes."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain

import pytest

from tests.services.base import free_port
from tests.services.namespace import Namespace
from tests.services.processes import ROOT

THERE_ARE = range(40000, 40008)
TAKES_THREE = "from tests.services.base import free_port; print(*(free_port() for _ in range(3)), flush=True); input()"
CONNECTS_WHILE_IT_CAN = """
import socket
from contextlib import suppress
connections, listener = [], socket.create_server(("127.0.0.1", 50000))
with suppress(OSError):
    while True:
        connections.append(socket.create_connection(listener.getsockname()))
print(*(connection.getsockname()[1] for connection in connections), flush=True)
"""


def test_a_server_may_listen_there_again_and_again_and_nobody_else() -> None:
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    for _ in range(3):
        with (
            socket.create_server(("127.0.0.1", port)) as server,
            socket.create_connection(("127.0.0.1", port)),
            server.accept()[0],
        ):
            pass


@pytest.fixture
def host() -> Iterator[Namespace]:
    with Namespace() as host:
        limit = f"echo {THERE_ARE[0]} {THERE_ARE[-1]} > /proc/sys/net/ipv4/ip_local_port_range"
        subprocess.run([*host.prefix, "sh", "-c", limit], check=True)
        yield host


@pytest.mark.needs("netns")
def test_two_processes_and_outgoing_connections_get_different_ports(host: Namespace) -> None:
    with ExitStack() as stack:

        def ports(program: str) -> list[int]:
            """As long as the stack is open."""
            argv = [*host.prefix, sys.executable, "-c", program]
            pipe = subprocess.PIPE
            process = stack.enter_context(subprocess.Popen(argv, stdin=pipe, stdout=pipe, cwd=ROOT))
            assert process.stdout is not None
            return [int(port) for port in process.stdout.readline().split()]

        each = [ports(program) for program in (TAKES_THREE, TAKES_THREE, CONNECTS_WHILE_IT_CAN)]

    assert [len(ours) for ours in each] == [3, 3, 2]
    assert sorted(chain(*each)) == [*THERE_ARE]
