"""A TCP relay between one host and a service, to cut the two off from each other without a word.

While it is cut, what one side sends arrives nowhere and nobody is told: no FIN, no reset. When it is healed the
connections go on where they stood, as TCP does after a partition that was short. The kernel answers for the relay
meanwhile, so keepalives find nothing wrong: the far end is a host that lives and says nothing.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from tests.services.base import free_port

_CHUNK = 1 << 16


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
        self._streams: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"relay-{self.port}", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._call(self._listen()).result(10)

    def url(self, of_service: str) -> str:
        """The service's URL, by way of this relay."""
        parts = urlsplit(of_service)
        return urlunsplit(
            parts._replace(netloc=parts.netloc.replace(f"127.0.0.1:{self.target}", f"{self.address}:{self.port}"))
        )

    def cut(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Nothing passes any more: in both directions, or in one."""
        self._call(self._set(to_server=not to_server, to_client=not to_client)).result(10)

    def heal(self) -> None:
        self._call(self._set(to_server=True, to_client=True)).result(10)

    def cut_after(self, sent: bytes) -> None:
        """Cut both directions as soon as a client has sent this, which still arrives. Once."""
        self._trigger = sent

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
        return await asyncio.start_server(self._relay, self.address, self.port)

    async def _set(self, *, to_server: bool, to_client: bool) -> None:
        for gate, is_open in ((self._to_server, to_server), (self._to_client, to_client)):
            gate.set() if is_open else gate.clear()

    async def _end(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        for stream in self._streams:
            stream.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams.add(writer)
        ends = [writer]
        try:
            await self._to_server.wait()
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
            self._streams.add(to_server)
            ends.append(to_server)
            await asyncio.gather(
                self._pump(reader, to_server, self._to_server), self._pump(from_server, writer, self._to_client)
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                end.transport.abort()
                self._streams.discard(end)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
        while True:
            data = await reader.read(_CHUNK)
            await gate.wait()
            if not data:
                raise ConnectionResetError  # the other side learns of an end in the same way
            writer.write(data)
            await writer.drain()
            if gate is self._to_server and self._trigger is not None and self._trigger in data:
                self._trigger = None
                await self._set(to_server=False, to_client=False)
