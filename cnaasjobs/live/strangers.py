"""socket.io's server with a bound on strangers: sockets whose client has not said who it is, and may never do so.

Anybody can open one, as each has to be open before its client can send credentials. They may be so many and so old.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import engineio
import socketio

MOST: Final = 500
SECONDS: Final = 10.0
LARGEST_MESSAGE: Final = 100_000  # bytes; what a client says is a line


class _Engine(engineio.AsyncServer):  # type: ignore[misc, unused-ignore]
    async def disconnect(self, sid: str | None = None) -> None:
        """Without waiting for the client to take what is left for it: what is wrong with it may be that it never does,
        and the request that found out would never be answered.
        """
        if sid is None:
            await super().disconnect()
        elif (socket := self.sockets.pop(sid, None)) is not None:
            await socket.close(wait=False, reason=self.reason.SERVER_DISCONNECT)


class Server(socketio.AsyncServer):  # type: ignore[misc, unused-ignore]
    def __init__(self, admitted: Collection[str], **options: Any) -> None:
        """``admitted``: those who are no strangers, by socket.io's ids. It changes as they come and go."""
        super().__init__(max_http_buffer_size=LARGEST_MESSAGE, **options)
        self._admitted = admitted
        self._before: set[str] = set()

    def strangers(self) -> set[str]:
        known = {self.manager.eio_sid_from_sid(sid, "/") for sid in self._admitted}
        return set(self.eio.sockets) - known

    async def part_with_strangers(self) -> None:
        """Called every so many ``SECONDS``: closes those that were strangers the last time already."""
        still = self.strangers()
        for eio_sid in still & self._before:
            await self.eio.disconnect(eio_sid)
        self._before = still

    def _engineio_server_class(self) -> type[_Engine]:
        return _Engine

    async def _handle_eio_connect(self, eio_sid: str, environ: Mapping[str, Any]) -> str | None:
        """What it returns is why the connection is refused."""
        if len(self.eio.sockets) - len(self._admitted) > MOST:  # this one is among them
            return "Too many connections that have not said who they are, try again"
        await super()._handle_eio_connect(eio_sid, environ)
        return None
