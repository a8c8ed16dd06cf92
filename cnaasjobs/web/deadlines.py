"""The total time that a request's body may take, however its bytes drip in.

A thread that waits in ``recv`` cannot look at a clock, and a limit for each ``recv`` starts anew with each byte. So the
reading is noted here, and the worker's own loop ends what takes too long: it shuts the socket for reading, and the
thread finds the end of the stream.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from gunicorn.http.errors import ParseException

BODY_SECONDS: Final = 10.0

_reading: dict[int, tuple[float, socket.socket]] = {}
_mutex = threading.Lock()


class BoundedInput:
    """``wsgi.input`` whose reads all together must end ``BODY_SECONDS`` after the first began."""

    def __init__(self, stream: Any, sock: socket.socket) -> None:
        self._stream = stream
        self._socket = sock
        self._ends: float | None = None

    def read(self, *size: int) -> bytes:
        with self._noted():
            return bytes(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        with self._noted():
            return bytes(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        with self._noted():
            return list(self._stream.readlines(*hint))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        if self._ends is None:
            self._ends = time.monotonic() + BODY_SECONDS
        with _mutex:
            _reading[id(self)] = (self._ends, self._socket)
        try:
            yield
        except ParseException as exc:  # chunks that are none
            raise OSError(str(exc)) from exc
        finally:
            with _mutex:
                _reading.pop(id(self), None)


def end_overdue() -> int:
    """Called now and then by a thread that reads no body. Returns how many it ended."""
    now = time.monotonic()
    with _mutex:
        overdue = [sock for ends, sock in _reading.values() if ends <= now]
        for sock in overdue:
            with contextlib.suppress(OSError):  # the client is gone already
                sock.shutdown(socket.SHUT_RD)
    return len(overdue)
