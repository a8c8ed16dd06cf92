"""How long a client may keep a thread waiting: for the body it sends, and until it takes its answer.

A thread that waits in ``recv`` or ``send`` cannot look at a clock, and a limit for each call starts anew with every
byte. So each wait is noted here, and the worker's own loop ends those that take too long: it shuts the socket down, and
the thread sees the end of the stream.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from gunicorn.http.errors import ParseException

BODY_SECONDS: Final = 10.0
SEND_SECONDS: Final = 10.0  # plus the time that the answer takes at SLOWEST
SLOWEST: Final = 50_000  # bytes/s
# While others wait for a thread:
PATIENCE_SECONDS: Final = 2.0  # plus the time that the answer takes at SLOW
SLOW: Final = 5_000_000  # bytes/s


class _Wait(NamedTuple):
    sock: socket.socket
    how: int  # to shut it down
    pool: str  # the thread's
    yields: float  # when it may be ended because others wait
    ends: float


_waits: dict[int, _Wait] = {}  # by thread
_mutex = threading.Lock()


@contextlib.contextmanager
def _noted(sock: socket.socket, how: int, *, yields: float, ends: float) -> Iterator[None]:
    thread = threading.current_thread()
    pool = thread.name.rpartition("_")[0]  # a ThreadPoolExecutor names its threads after itself, with a number
    with _mutex:
        _waits[id(thread)] = _Wait(sock, how, pool, yields, ends)
    try:
        yield
    finally:
        with _mutex:
            _waits.pop(id(thread), None)


class BoundedInput:
    """``wsgi.input`` whose reads must all end within ``BODY_SECONDS`` after the first began."""

    def __init__(self, stream: Any, sock: socket.socket) -> None:
        self._stream = stream
        self._socket = sock
        self._began: float | None = None

    def read(self, *size: int) -> bytes:
        with self._bounded():
            return bytes(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        with self._bounded():
            return bytes(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        with self._bounded():
            return list(self._stream.readlines(*hint))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        if self._began is None:
            self._began = time.monotonic()
        began = self._began
        with _noted(self._socket, socket.SHUT_RD, yields=began + PATIENCE_SECONDS, ends=began + BODY_SECONDS):
            try:
                yield
            except ParseException as exc:  # invalid chunks
                raise OSError(str(exc)) from exc


class ClientSocket(socket.socket):
    """A client's connection: an answer must be taken in time."""

    _waited = 0.0  # seconds, for this answer
    _sent = 0  # bytes of it

    @classmethod
    def of(cls, accepted: socket.socket) -> "ClientSocket":
        return cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())

    def new_answer(self) -> None:
        self._waited, self._sent = 0.0, 0

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """The kernel takes most answers at once: then there is no wait to note."""
        try:
            taken = self.send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            taken = 0
        self._sent += taken
        if taken < len(data):
            with self._bounded(len(data) - taken):
                super().sendall(memoryview(data)[taken:], flags)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        with self._bounded(count or 0):
            return super().sendfile(file, offset, count)

    @contextlib.contextmanager
    def _bounded(self, size: int) -> Iterator[None]:
        now = time.monotonic()
        began = now - self._waited
        self._sent += size
        yields = began + PATIENCE_SECONDS + self._sent / SLOW
        ends = began + SEND_SECONDS + self._sent / SLOWEST
        try:
            with _noted(self, socket.SHUT_RDWR, yields=yields, ends=ends):
                yield
        finally:
            self._waited += time.monotonic() - now


def end_overdue() -> None:
    """Called now and then by a thread that waits for no client."""
    now = time.monotonic()
    with _mutex:  # held while sockets are shut down: once one is closed, another may get its number
        _shut([wait for wait in _waits.values() if wait.ends <= now])


def make_way(pool: str, queued: int) -> None:
    """End the longest waits for clients when requests queue for a thread of this pool."""
    now = time.monotonic()
    with _mutex:
        _shut([wait for wait in _waits.values() if wait.pool == pool and wait.yields <= now][:queued])


def _shut(waits: list[_Wait]) -> None:
    for wait in waits:
        with contextlib.suppress(OSError):  # the client is gone already
            wait.sock.shutdown(wait.how)
