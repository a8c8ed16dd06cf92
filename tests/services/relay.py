"""A TCP relay between one host and a service, which can silently cut the two off from each other.

While it is cut, what one side sends arrives nowhere and nobody is told: no FIN, no reset. When it is healed the
connections go on where they were, as TCP does after a short partition. The kernel answers for the relay meanwhile, so
keepalives find nothing wrong: the far end looks like a live host that says nothing.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from tests.services.base import free_port

_CHUNK = 1 << 16

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Started where it is made; ``close`` ends it, its connections with it."""

    def __init__(self, port: int, *, address: str = "127.0.0.1") -> None:
        """``port``: of the service, on loopback. ``address``: where the relay listens."""
        self.target = port
        self.address = address
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._to_server, self._to_client = asyncio.Event(), asyncio.Event()
        self._trigger: bytes | None = None
        self._pairs: set[_Pair] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"relay-{self.port}", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._call(self._listen()).result(10)

    def url(self, of_service: str) -> str:
        """The service's URL, by way of this relay."""
        parts = urlsplit(of_service)
        netloc = parts.netloc.replace(f"127.0.0.1:{self.target}", f"{self.address}:{self.port}")
        return urlunsplit(parts._replace(netloc=netloc))

    # --- what can happen between the two ------------------------------------------------------------------------------

    def cut(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Nothing passes any more, in both directions or in one, until ``heal``."""
        self._call(self._set(to_server=not to_server, to_client=not to_client)).result(10)

    def heal(self) -> None:
        self._call(self._set(to_server=True, to_client=True)).result(10)

    def cut_after(self, sent: bytes) -> None:
        """Cut both directions as soon as a client has sent this, which still arrives. Once."""
        self._trigger = sent

    def strand(self) -> None:
        """Existing connections never pass anything again, as when a firewall has forgotten them. New ones do."""
        self._call(self._strand()).result(10)

    def reset_clients(self) -> None:
        """Like ``strand``, but the clients are told: only the service believes that its ends are alive."""
        self._call(self._strand(reset_clients=True)).result(10)

    def ports(self) -> list[int]:
        """Where the service sees its connections come from, the stranded ones too."""
        return [pair.port for pair in list(self._pairs) if pair.port]

    def end_stranded(self) -> None:
        """Both sides learn that the stranded connections are gone, as keepalives eventually find out."""
        self._call(self._end_stranded()).result(10)

    @property
    def is_cut(self) -> bool:
        return not (self._to_server.is_set() and self._to_client.is_set())

    def close(self) -> None:
        self._call(self._end()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- in the loop's thread -----------------------------------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self) -> asyncio.Server:
        await self._set(to_server=True, to_client=True)
        return await asyncio.start_server(self._accept, self.address, self.port)

    async def _set(self, *, to_server: bool, to_client: bool) -> None:
        for gate, is_open in ((self._to_server, to_server), (self._to_client, to_client)):
            gate.set() if is_open else gate.clear()

    async def _strand(self, *, reset_clients: bool = False) -> None:
        for pair in self._pairs:
            pair.strand(reset_client=reset_clients)

    async def _end_stranded(self) -> None:
        for pair in [pair for pair in self._pairs if pair.stranded]:
            pair.abort()
            self._pairs.discard(pair)

    async def _end(self) -> None:
        self._server.close()
        for pair in self._pairs:
            pair.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair((reader, writer), self._to_server, self._to_client, self._saw)
        self._pairs.add(pair)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await pair.relay(self.target)
        if not pair.stranded:  # else it stays as it is until the end
            pair.abort()
            self._pairs.discard(pair)

    async def _saw(self, data: bytes) -> None:
        if self._trigger is not None and self._trigger in data:
            self._trigger = None
            await self._set(to_server=False, to_client=False)


class _Pair:
    """One client's connection, and ours to the service for it."""

    def __init__(self, client: Stream, to_server: asyncio.Event, to_client: asyncio.Event, saw: Any) -> None:
        self.stranded = False
        self._client = client
        self._server: Stream | None = None
        self._to_server, self._to_client = to_server, to_client
        self._saw = saw
        self._pumps: asyncio.Future[Any] | None = None

    async def relay(self, port: int) -> None:
        await self._to_server.wait()
        self._server = await asyncio.open_connection("127.0.0.1", port)
        self._pumps = asyncio.gather(
            self._pump(self._client[0], self._server[1], self._to_server),
            self._pump(self._server[0], self._client[1], self._to_client),
        )
        await self._pumps

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
        while True:
            data = await reader.read(_CHUNK)
            await gate.wait()
            if not data:
                raise ConnectionResetError  # the other side learns of an end in the same way
            writer.write(data)
            await writer.drain()
            if gate is self._to_server:
                await self._saw(data)

    @property
    def port(self) -> int | None:
        """Ours, as the service sees it."""
        return None if self._server is None else self._server[1].get_extra_info("sockname")[1]

    def strand(self, *, reset_client: bool) -> None:
        self.stranded = True
        if self._pumps is not None:
            self._pumps.cancel()
        if reset_client:
            self._client[1].transport.abort()

    def abort(self) -> None:
        for stream in (self._client, self._server):
            if stream is not None:
                stream[1].transport.abort()
