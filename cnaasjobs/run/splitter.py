"""One port for ``make run``: passes each request on, unread, to the web server or to the events process.

Only the first line is read, for the path. Everything is passed on as it came, even garbage, so that the answers are the
web server's own. One request per connection: the next one may be for the other server. A PROXY line names the client.
In production nginx does this: `deploy/nginx.conf`.
"""

import argparse
import asyncio
import contextlib
import re
import socket
from typing import Final

FIRST_LINE_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 30.0  # a server that has died is being restarted
CONNECT_PAUSE_SECONDS: Final = 0.05
PIECE: Final = 65_536
# Inserted before the client's own header: the first of two counts.
CLOSE: Final = b"Connection: close\r\n"

_OF_EVENTS: Final = re.compile(rb"[A-Z]+ (/api/v1\.0/events/?|/socket\.io/[^ ?]*)(\?[^ ]*)? HTTP/1\.[01]\r\n")
_REQUEST: Final = re.compile(rb"[^\r\n]+ HTTP/1\.[01]\r\n")


class Splitter:
    def __init__(self, *, web: str, events: str) -> None:
        """The paths of the unix sockets on which the two servers listen."""
        self._web = web
        self._events = events
        self._serving: set[asyncio.Task[None] | None] = set()  # keeps a task alive whose client has gone

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        try:
            if first := await _first_line(reader):
                await self._pass_on(first, reader, writer)
        except (OSError, TimeoutError):
            pass  # one side is gone
        finally:
            self._serving.discard(asyncio.current_task())
            writer.close()

    async def _pass_on(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = self._events if _OF_EVENTS.match(first) else self._web
        answers, asks = await _connected(path)
        line, end, rest = first.partition(b"\n")
        begin = line + end + CLOSE + rest if _REQUEST.match(first) else first
        asks.write(_proxy_line(writer) + begin)
        there = asyncio.create_task(_copy(reader, asks))
        try:
            await _copy(answers, writer)  # a client may close its side and wait; a server that has answered is done
        finally:
            there.cancel()  # and whatever it raised is ignored
            asks.close()


async def _first_line(reader: asyncio.StreamReader) -> bytes:
    """The request's first line, and what came with it. If the line does not end in time, as much as there is."""
    seen = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FIRST_LINE_SECONDS):
            while b"\n" not in seen and len(seen) < PIECE and (piece := await reader.read(PIECE)):
                seen += piece
    return seen


async def _connected(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(CONNECT_SECONDS):
        while True:
            try:
                return await asyncio.open_unix_connection(path, limit=PIECE)
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(CONNECT_PAUSE_SECONDS)


def _proxy_line(client: asyncio.StreamWriter) -> bytes:
    (source, source_port, *_), (target, target_port, *_) = (
        client.get_extra_info(name) for name in ("peername", "sockname")
    )
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {target} {source_port} {target_port}\r\n".encode()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Raises OSError when one of them is gone."""
    while piece := await source.read(PIECE):
        target.write(piece)
        await target.drain()
    target.write_eof()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True, help="the socket on which clients call")
    parser.add_argument("--web", required=True)
    parser.add_argument("--events", required=True)
    options = parser.parse_args()
    splitter = Splitter(web=options.web, events=options.events)
    listener = socket.socket(fileno=options.fd)
    server = await asyncio.start_server(splitter.serve, sock=listener, limit=PIECE, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
