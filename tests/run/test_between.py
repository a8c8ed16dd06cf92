"""The splitter between a client and a web server of the test: lines that do not end, sides that go, and what is said of
the client.
"""

import asyncio
import contextlib
import gc
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cnaasjobs.run import splitter
from cnaasjobs.run.splitter import CLOSE, PIECE, Splitter

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
AT_ONCE = struct.pack("ii", 1, 0)  # closed with these, a connection is reset


class Between:
    def __init__(self, address: str) -> None:
        self.address = address
        self.port = 0
        self.calls: asyncio.Queue[Streams] = asyncio.Queue()  # the web server's side of each connection
        self.troubles: list[dict[str, Any]] = []  # what asyncio tells of errors that nobody has handled
        self.clients: list[asyncio.StreamWriter] = []

    async def client(self) -> Streams:
        reader, writer = await asyncio.open_connection(self.address, self.port)
        self.clients.append(writer)
        return reader, writer

    async def called(self) -> Streams:
        return await self.calls.get()


@contextlib.asynccontextmanager
async def between(directory: Path, *, address: str = "127.0.0.1", is_there: bool = True) -> AsyncIterator[Between]:
    it = Between(address)
    asyncio.get_running_loop().set_exception_handler(lambda _, trouble: it.troubles.append(trouble))
    path = str(directory / "w.sock")
    web = await asyncio.start_unix_server(lambda *streams: it.calls.put_nowait(streams), path) if is_there else None
    split = Splitter(web=path, events=path)
    async with await asyncio.start_server(split.serve, address, 0) as server:
        it.port = server.sockets[0].getsockname()[1]
        yield it
        while split._serving:
            await asyncio.sleep(0.01)
        for client in it.clients:
            client.close()
            with contextlib.suppress(OSError):
                await client.wait_closed()
    if web is not None:
        web.close()
    await asyncio.sleep(0)
    gc.collect()
    assert it.troubles == []


def go(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario(), 30)

    asyncio.run(bounded())


def test_a_line_that_does_not_end_in_time_is_passed_on_as_far_as_it_is_there(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitter, "FIRST_LINE_SECONDS", 0.1)

    async def scenario() -> None:
        async with between(scratch) as it:
            _, ours = await it.client()
            ours.write(b"GET / HT")
            asked, answer = await it.called()
            assert (await asked.readuntil(b"HT")).endswith(b"\r\nGET / HT")
            ours.write(b"TP/1.1\r\n")
            assert await asked.readline() == b"TP/1.1\r\n"
            answer.close()

    go(scenario)


def test_the_end_of_a_line_that_is_too_long_is_not_waited_for(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "FIRST_LINE_SECONDS", 1000.0)

    async def scenario() -> None:
        async with between(scratch) as it:
            _, ours = await it.client()
            ours.write(b"x" * PIECE)
            asked, answer = await it.called()
            assert (await asked.readline()).startswith(b"PROXY ")
            assert await asked.readexactly(PIECE) == b"x" * PIECE
            answer.close()

    go(scenario)


def of_this_link() -> list[str]:
    """An address of this machine that counts on one network only, with the name of its interface, if there is any."""
    file = Path("/proc/net/if_inet6")
    found = [line.split() for line in (file.read_text().splitlines() if file.exists() else [])]
    number = [(bytes.fromhex(number), name) for number, _, _, _, _, name in found if number.startswith("fe80")]
    return [f"{socket.inet_ntop(socket.AF_INET6, address)}%{name}" for address, name in number][:1]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", *of_this_link()])
def test_a_client_may_close_its_side_and_gets_its_answer(scratch: Path, address: str) -> None:
    async def scenario() -> None:
        async with between(scratch, address=address) as it:
            answers, ours = await it.client()
            ours.write(HEAD)
            ours.write_eof()
            port = ours.get_extra_info("sockname")[1]
            asked, answer = await it.called()
            name, family = address.partition("%")[0].encode(), b"TCP6" if ":" in address else b"TCP4"
            line, _, rest = (await asked.read()).partition(b"\r\n")
            assert line == b"PROXY %s %s %s %d %d" % (family, name, name, port, it.port)
            assert rest == HEAD.replace(b"\r\n", b"\r\n" + CLOSE, 1)
            answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            answer.close()
            assert await answers.read() == b"HTTP/1.1 200 OK\r\n\r\n"

    go(scenario)


def test_a_client_that_is_gone_troubles_nobody_and_its_request_is_not_forgotten(scratch: Path) -> None:
    async def scenario() -> None:
        async with between(scratch) as it:
            _, ours = await it.client()
            ours.write(HEAD)
            asked, answer = await it.called()
            await asked.readuntil(b"\r\n\r\n")
            ours.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            ours.transport.abort()
            for _ in range(10):
                await asyncio.sleep(0.01)
                gc.collect()
            answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            answer.close()
            assert await asked.read() == b""

    go(scenario)


def test_where_no_web_server_comes_the_client_is_sent_away(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "CONNECT_SECONDS", 0.1)

    async def scenario() -> None:
        async with between(scratch, is_there=False) as it:
            answers, ours = await it.client()
            ours.write(HEAD)
            assert await answers.read() == b""

    go(scenario)
