"""uvicorn, and what one connection may cost."""

import asyncio
import socket
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from cnaasjobs.api.envelope import JSON, error_body, json_bytes
from cnaasjobs.events import record
from cnaasjobs.live import nonsense
from cnaasjobs.live.actions import LiveAction
from cnaasjobs.live.strangers import LARGEST_MESSAGE

SEND_BUFFER_BYTES: Final = 65_536  # otherwise the kernel keeps megabytes for a reader that has stopped reading
SHUTDOWN_SECONDS: Final = 3
BACKLOG: Final = 2048
REQUEST_SECONDS: Final = 10.0  # for a whole request, from when the connection waits for it
SEND_SECONDS: Final = 10.0  # for a client to take what is left for it
_LONGEST_PROXY_LINE: Final = 107


class _Taken(asyncio.Protocol):
    """Drops a client that does not take what is sent. Closing a connection waits until all has been taken, so the time
    is counted from when the kernel takes no more.
    """

    what: str
    transport: Any
    loop: Any
    _taken_until: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taken_until = self.loop.call_later(SEND_SECONDS, self._drop)

    def resume_writing(self) -> None:
        self._is_taken()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_taken()
        super().connection_lost(exc)

    def _is_taken(self) -> None:
        if self._taken_until is not None:
            self._taken_until.cancel()

    def _drop(self) -> None:
        record(LiveAction.READER_DROPPED, what=self.what)
        self.transport.abort()


class Protocol(_Taken, H11Protocol):
    """HTTP on a connection that may begin with a PROXY line, in which ``make run`` gives the client's address.

    A client that sends nothing, or an endless request, loses its connection; uvicorn limits only the time between two.
    """

    what = "events"
    expects_proxy_line = False
    _begun = b""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.logger = nonsense.NoWarnings(self.logger)  # type: ignore[assignment]
        self._expect_request()
        transport.set_write_buffer_limits(high=0)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        if self.expects_proxy_line:
            self._begun += data
            line, end, data = self._begun.partition(b"\r\n")
            if not end and len(line) <= _LONGEST_PROXY_LINE:
                return
            self.expects_proxy_line = False
            self.client = _peer(line)
            if self.client is None:
                self.transport.close()
                return
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001  wsproto raises anything for headers that it can't read
            nonsense.note("request")
            self.transport.abort()
            return
        self._look_whether_it_is_whole()

    def send_400_response(self, msg: str) -> None:
        """The answer to what is not HTTP or is too long, unless one has begun: in the API's envelope, not as text."""
        begun: Any = self.cycle
        if begun is None or begun.response_complete or not begun.response_started:
            body = json_bytes(error_body(msg))
            head = f"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: {JSON}\r\n"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_request()
        self._look_whether_it_is_whole()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _look_whether_it_is_whole(self) -> None:
        begun: Any = self.cycle  # None before the first request
        if begun is not None and not begun.response_complete and not begun.more_body:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class ProxiedProtocol(Protocol):
    expects_proxy_line = True


class _Messages(_Taken, WSProtocol):
    what = "socket.io"

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001  as above, for a frame
            nonsense.note("frame")
            self.transport.abort()


def _peer(line: bytes) -> tuple[str, int] | None:
    """``PROXY TCP4 192.0.2.1 192.0.2.2 50000 8000``."""
    parts = line.decode("ascii", "replace").split(" ")
    if len(parts) != 6 or parts[0] != "PROXY" or not parts[4].isdigit():
        return None
    return parts[2], int(parts[4])


def listener(bind: str) -> socket.socket:
    """A socket on ``host:port``, ``unix:/path`` or ``fd://number``: the forms that gunicorn takes."""
    if bind.startswith("fd://"):
        return socket.socket(fileno=int(bind.removeprefix("fd://")))
    if bind.startswith("unix:"):
        path = Path(bind.removeprefix("unix:"))
        if path.is_socket():  # left by a process that was killed
            path.unlink()
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(BACKLOG)
        return listening
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)


def config(application: Any, *, proxy_protocol: bool) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=ProxiedProtocol if proxy_protocol else Protocol,
        ws=_Messages,
        ws_max_size=LARGEST_MESSAGE,
        lifespan="on",
        log_config=None,  # cnaasjobs.logs has all of it
        access_log=False,
        proxy_headers=False,  # cnaasjobs.api.caller decides which proxies to trust
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
