"""A TCP relay that simulates distance: data arrives later, at the same rate as before."""

import asyncio
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from tests.services.base import free_port

_CHUNK = 1 << 16


class Distance:
    """``round_trip`` seconds to the service of this URL and back. Listens while its ``with`` block lasts."""

    def __init__(self, url: str, *, round_trip: float) -> None:
        self.port = free_port()
        self._way = round_trip / 2
        self._target = urlsplit(url).port
        self.url = url.replace(f":{self._target}", f":{self.port}")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"distance-{self.port}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._way)  # TCP's own handshake; the kernel answered the client at once
        with suppress(OSError, asyncio.CancelledError):
            from_service, to_service = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                await asyncio.gather(self._carry(reader, to_service), self._carry(from_service, writer))
            finally:
                to_service.transport.abort()
        writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            self._loop.call_later(self._way, writer.write, data)
        await asyncio.sleep(self._way)  # what has been sent still arrives
        raise ConnectionResetError  # the other side learns of an end in the same way
