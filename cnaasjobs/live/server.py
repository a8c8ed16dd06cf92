"""uvicorn, and what one connection may cost."""

import asyncio
import socket
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

SEND_BUFFER_BYTES: Final = 65_536  # otherwise the kernel keeps megabytes for a reader that has stopped reading
SHUTDOWN_SECONDS: Final = 3
BACKLOG: Final = 2048
_LONGEST_PROXY_LINE: Final = 107


class Protocol(H11Protocol):
    """HTTP on a connection that may begin with a PROXY line, in which ``make run`` gives the client's address."""

    expects_proxy_line = False
    _begun = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
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
        super().data_received(data)


class ProxiedProtocol(Protocol):
    expects_proxy_line = True


def _peer(line: bytes) -> tuple[str, int] | None:
    """``PROXY TCP4 192.0.2.1 192.0.2.2 50000 8000``."""
    parts = line.decode("ascii", "replace").split(" ")
    if len(parts) != 6 or parts[0] != "PROXY" or not parts[4].isdigit():
        return None
    return parts[2], int(parts[4])


def listener(bind: str) -> socket.socket:
    """On ``host:port``, ``unix:/path`` or ``fd://number``, as gunicorn has them."""
    if bind.startswith("fd://"):
        return socket.socket(fileno=int(bind.removeprefix("fd://")))
    if bind.startswith("unix:"):
        path = Path(bind.removeprefix("unix:"))
        if path.is_socket():  # of one that was killed
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
        ws="wsproto",
        lifespan="on",
        log_config=None,  # cnaasjobs.logs has all of it
        access_log=False,
        proxy_headers=False,  # cnaasjobs.api.caller knows whom to believe
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
