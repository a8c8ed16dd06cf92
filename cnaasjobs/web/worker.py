"""gunicorn's threaded worker, but a connection gets a thread only when the head of its request is there as a whole.

gunicorn gives a thread to whoever connects, and the thread waits for as long as bytes drip in: as many slow clients as
there are threads, and nobody else is answered. Here the worker's own loop looks into what the kernel has received
(nothing is taken out of there) until the head ends, and closes what takes longer than ``HEAD_SECONDS``.

``/healthz`` and ``/readyz`` have threads of their own, which no other request can take.
"""

import contextlib
import select
import socket
import time
from concurrent import futures
from functools import partial
from selectors import EVENT_READ
from typing import Any, Final

from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

from cnaasjobs.web.deadlines import end_overdue

HEAD_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 65536  # then gunicorn's own limits, which are lower, say what is wrong
LOOK_AGAIN_SECONDS: Final = 0.1
DRAIN_SECONDS: Final = 0.1
HEALTH_THREADS: Final = 2
CLOSING_THREADS: Final = 4
MAX_CLOSING: Final = 64

_HEALTH: Final = (b"/healthz", b"/readyz")
_HEAD_ENDS: Final = (b"\r\n\r\n", b"\n\n")


class Connection(TConn):
    """``waits_until``: by then its head must be there. ``is_health``: it asks for nothing but our health."""

    worker: "PatientWorker"
    waits_until = 0.0
    is_health = False

    def close(self, graceful: bool = False) -> None:
        """A graceful close waits up to 2 s for the client; gunicorn would do so in its one loop."""
        if graceful and self.worker.close_later(self):
            return
        super().close()

    def close_now(self) -> None:
        with contextlib.suppress(OSError):
            super().close(graceful=True)


class PatientWorker(ThreadWorker):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._incomplete: list[Connection] = []  # the beginning of a head is there
        self._health = futures.ThreadPoolExecutor(HEALTH_THREADS, thread_name_prefix="health")
        self._closing = futures.ThreadPoolExecutor(CLOSING_THREADS, thread_name_prefix="closing")
        self._to_close = 0

    def accept(self, listener: socket.socket) -> None:
        try:
            client, address = listener.accept()
        except OSError:  # it is gone again, or another worker was first
            return
        self.nr_conns += 1
        connection = Connection(self.cfg, client, address, listener.getsockname())
        connection.worker = self
        self._wait_for_head(connection)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A kept connection begins its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._wait_for_head(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(min(timeout, LOOK_AGAIN_SECONDS) if self._incomplete else timeout)
        incomplete, self._incomplete = self._incomplete, []
        for connection in incomplete:
            self._look(connection)
        self._drop_overdue()
        end_overdue()

    def enqueue_req(self, conn: Any) -> None:
        """To the threads. What was read ahead of a request on a kept connection is here already."""
        pool = self._health if getattr(conn, "is_health", False) else self.tpool
        done = pool.submit(self.handle, conn)
        done.add_done_callback(lambda future: self.method_queue.defer(self.finish_request, conn, future))

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """The rest of a body that nobody read is worth a moment, not a thread for gunicorn's five seconds."""
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))

    def close_later(self, connection: Connection) -> bool:
        """False if too many are waited for already."""
        if self._to_close >= MAX_CLOSING:
            return False
        self._to_close += 1
        self._closing.submit(connection.close_now).add_done_callback(self._closed)
        return True

    def _closed(self, _: Any) -> None:
        self._to_close -= 1

    # --- heads --------------------------------------------------------------------------------------------------------

    def _wait_for_head(self, connection: Connection) -> None:
        connection.sock.setblocking(False)
        connection.waits_until = time.monotonic() + HEAD_SECONDS
        connection.timeout = connection.waits_until
        self.pending_conns.append(connection)
        self.poller.register(connection.sock, EVENT_READ, partial(self._first_bytes, connection))

    def _first_bytes(self, connection: Connection, client: Any) -> None:
        self.poller.unregister(client)
        self.pending_conns.remove(connection)
        self._look(connection)

    def _look(self, connection: Connection) -> None:
        """Nothing is taken out of the kernel's buffer: gunicorn's parser reads it all."""
        try:
            head = connection.sock.recv(MAX_HEAD_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            head = None
        except OSError:
            head = b""
        if head == b"":
            self._drop(connection)
        elif head is not None and (
            len(head) >= MAX_HEAD_BYTES or any(end in head for end in _HEAD_ENDS) or _said_all(connection.sock)
        ):
            connection.is_health = _path_of(head) in _HEALTH
            connection.data_ready = True
            self.enqueue_req(connection)
        else:
            self._incomplete.append(connection)

    def _drop_overdue(self) -> None:
        """Those without any byte are in ``pending_conns``, which gunicorn looks after."""
        now = time.monotonic()
        overdue = [one for one in self._incomplete if one.waits_until <= now]
        self._incomplete = [one for one in self._incomplete if one.waits_until > now]
        for connection in overdue:
            with contextlib.suppress(OSError):
                util.write_error(connection.sock, 408, "Request Timeout", "The request did not arrive in time")
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self.nr_conns -= 1
        connection.close()


def _said_all(sock: socket.socket) -> bool:
    """The client closed its side: gunicorn's parser will not wait, and says what is missing."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))


def _path_of(head: bytes) -> bytes:
    parts = head.split(b" ", 2)
    return parts[1].partition(b"?")[0].rstrip(b"/") if len(parts) == 3 else b""
