"""socket.io's server with a bound on strangers: sockets whose client has not said who it is, and may never do so.

Anybody can open one, because a socket has to be open before its client can send credentials. So their number and their
age are limited. What they send is checked before the libraries see it: these would raise and log errors for input
that they were not made for.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import engineio
import socketio
from engineio.async_drivers.asgi import WebSocket
from engineio.packet import Packet, packet_names

from cnaasjobs.live import nonsense

MOST: Final = 500
SECONDS: Final = 10.0
LARGEST_MESSAGE: Final = 100_000  # bytes; what a client says is a line
EVENTS: Final = "events"  # the only one that a client may send


class _WebSocket(WebSocket):  # type: ignore[misc, unused-ignore]
    async def wait(self) -> str | bytes:
        """Close the connection when something arrives that is not a packet: engineio would leave it open."""
        message: str | bytes = await super().wait()
        if not _is_packet(message):
            nonsense.note("packet")
            await self.close()
            raise OSError("no packet")  # as engineio expects it of a closed connection
        return message


class _Engine(engineio.AsyncServer):  # type: ignore[misc, unused-ignore]
    _async: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(logger=nonsense.Noted("message"), **options)
        self._async = {**self._async, "websocket": _WebSocket}

    async def handle_request(self, scope: Mapping[str, Any], receive: Any, send: Any) -> Any:
        try:
            return await super().handle_request(scope, receive, send)
        except Exception:  # noqa: BLE001  handlers raise nothing: it is a request that engineio can't read
            nonsense.note("request")
            answer = {"type": "websocket.close"}
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 400, "headers": []})
                answer = {"type": "http.response.body"}
            await send(answer)

    async def disconnect(self, sid: str | None = None) -> None:
        """Does not wait for the client to take what is left for it: it may never do so, and then the request that found
        that out would never be answered.
        """
        if sid is None:
            await super().disconnect()
        elif (socket := self.sockets.pop(sid, None)) is not None:
            await socket.close(wait=False, reason=self.reason.SERVER_DISCONNECT)


class Server(socketio.AsyncServer):  # type: ignore[misc, unused-ignore]
    def __init__(self, admitted: Collection[str], **options: Any) -> None:
        """``admitted``: socket.io's ids of the clients that were admitted. It changes as they come and go."""
        super().__init__(max_http_buffer_size=LARGEST_MESSAGE, **options)
        self._admitted = admitted
        self._before: set[str] = set()

    def strangers(self) -> set[str]:
        known = {self.manager.eio_sid_from_sid(sid, "/") for sid in self._admitted}
        return set(self.eio.sockets) - known

    async def part_with_strangers(self) -> None:
        """Called every ``SECONDS``: closes the sockets that were already strangers the last time."""
        still = self.strangers()
        for eio_sid in still & self._before:
            await self.eio.disconnect(eio_sid)
        self._before = still

    def _engineio_server_class(self) -> type[_Engine]:
        return _Engine

    async def _handle_eio_connect(self, eio_sid: str, environ: Mapping[str, Any]) -> str | None:
        """Returns why the connection is refused; None if it isn't."""
        if len(self.eio.sockets) - len(self._admitted) > MOST:  # this one is among them
            return "Too many connections that have not said who they are, try again"
        await super()._handle_eio_connect(eio_sid, environ)
        return None

    async def _handle_disconnect(self, eio_sid: str, namespace: str | None, reason: str | None = None) -> None:
        """A client that leaves may still wait for an answer to its poll: engineio would give it after 45 s."""
        await super()._handle_disconnect(eio_sid, namespace, reason)
        socket = self.eio.sockets.get(eio_sid) if reason == self.reason.CLIENT_DISCONNECT else None
        if socket is not None and socket.closing:
            socket.queue.put_nowait(None)
        elif socket is not None:
            await self.eio.disconnect(eio_sid)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """A socket may connect only once: each further time would make another client, and the library would never
        report it gone. It would not report one either that leaves while it is being admitted, so that is done here.
        """
        if self.manager.sid_from_eio_sid(eio_sid, namespace or "/") is not None:
            nonsense.note("event")
            return
        await super()._handle_connect(eio_sid, namespace, data)
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closing:
            await super()._handle_disconnect(eio_sid, namespace)

    async def _handle_event(self, eio_sid: str, namespace: str | None, number: int | None, data: Any) -> None:
        """Refuse other names: they would reach the handlers of "connect" and "disconnect"."""
        if isinstance(data, list) and len(data) in (1, 2) and data[0] == EVENTS:
            await super()._handle_event(eio_sid, namespace, number, data)
        else:
            nonsense.note("event")

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """Refuse binary messages: their parts would be kept until the last one has come."""
        if isinstance(data, str) and data[:1] not in _BINARY:
            await super()._handle_eio_message(eio_sid, data)
        else:
            nonsense.note("message")

    async def _trigger_event(self, event: str, namespace: str, *args: Any) -> Any:
        """What our handlers raise is a bug of ours; the libraries would blame the client."""
        try:
            return await super()._trigger_event(event, namespace, *args)
        except (ConnectionRefusedError, socketio.exceptions.ConnectionRefusedError):
            raise
        except Exception as exc:  # noqa: BLE001  it is logged, and the connection goes on
            nonsense.note_mistake(exc)
            return False


_BINARY: Final = (str(socketio.packet.BINARY_EVENT), str(socketio.packet.BINARY_ACK))


def _is_packet(message: str | bytes) -> bool:
    try:
        return bool(Packet(encoded_packet=message).packet_type < len(packet_names))
    except (ValueError, RecursionError):
        return False
