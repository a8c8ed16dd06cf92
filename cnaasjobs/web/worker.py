"""gunicorn's threaded worker, but a connection gets a thread only when its request is there as a whole.

gunicorn gives a thread to whoever connects, and the thread waits for as long as bytes drip in: as many slow clients as
there are threads, and nobody else is answered. Here the worker's own loop looks into what the kernel has received
(nothing is taken out of there) until the head ends, and closes what takes longer than ``HEAD_SECONDS``.

Bodies that are long or late have a few threads for themselves, and so have ``/healthz`` and ``/readyz``: no other
request can take these. A client that does not take its answer loses its thread when others wait for one.
"""

import contextlib
import errno
import select
import socket
import time
from functools import partial
from selectors import EVENT_READ
from typing import Any, Final

from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

from cnaasjobs.web.deadlines import ClientSocket, end_overdue, make_way
from cnaasjobs.web.heads import Head
from cnaasjobs.web.threads import Threads

HEAD_SECONDS: Final = 10.0
SOON_SECONDS: Final = 0.5  # how long a short body may take to follow its head
MAX_LOOK_BYTES: Final = 32768  # of a request: the kernel buffers more, and gunicorn takes no longer head
LOOK_AGAIN_SECONDS: Final = 0.1
WARN_SECONDS: Final = 60.0
DRAIN_SECONDS: Final = 0.1
HEALTH_THREADS: Final = 2
BODY_THREADS: Final = 4
CLOSING_THREADS: Final = 4
MAX_CLOSING: Final = 64
NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connection(TConn):
    """``waits_since``: when it began to wait for a request. ``late_at``: when its body counts as late."""

    worker: "PatientWorker"
    waits_since = 0.0
    late_at: float | None = None  # None: its head is not there yet

    def read_ahead(self) -> bytes:
        """The beginning of its next request, which gunicorn's parser took with the one before."""
        return bytes(self.parser.unreader.buf.getvalue()) if self.parser is not None else b""

    def set_timeout(self) -> None:
        """Called when it has been answered and is kept alive."""
        super().set_timeout()
        self.waits_since = time.monotonic()

    def close(self, graceful: bool = False) -> None:
        """A graceful close waits up to 2 s for the client; gunicorn would do that in its only loop."""
        if graceful and self.worker.close_later(self):
            return
        super().close()

    def close_gracefully(self) -> None:
        super().close(graceful=True)


class PatientWorker(ThreadWorker):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._incomplete: list[Connection] = []  # the beginning of a request is there
        self._bodies_to_come: list[Connection] = []  # the head is there
        self._health = Threads("health", HEALTH_THREADS)
        self._bodies = Threads("bodies", BODY_THREADS)
        self._closing = Threads("closing", CLOSING_THREADS)
        self._looked = 0.0
        self._to_close = 0
        self._is_full = False  # and somebody wants to connect
        self._rests_until = 0.0  # the system gives no more files
        self._warned = -WARN_SECONDS

    def get_thread_pool(self) -> Threads:
        return Threads("requests", self.cfg.threads)

    def accept(self, listener: socket.socket) -> None:
        """If the worker is full, room is made only after this round of the poller's events: a connection that would be
        closed for it may have one among them, which would end the worker. The poller reports the listener again.
        """
        if self.nr_conns >= self.worker_connections - 1 and self._waiting():
            self._is_full = True
            return
        try:
            client, address = listener.accept()
        except OSError as exc:  # otherwise the connection is gone again, or another worker was first
            if exc.errno in NO_ROOM:
                self._rest(exc)
            return
        self.nr_conns += 1
        connection = Connection(self.cfg, ClientSocket.of(client), address, listener.getsockname())
        connection.worker = self
        self._wait_for_request(connection)

    def _rest(self, reason: OSError) -> None:
        """The connection stays in the listener's queue, which the poller would report again and again."""
        now = time.monotonic()
        if now >= self._warned + WARN_SECONDS:
            self._warned = now
            self.log.warning("No connection can be accepted, with %s open: %s", self.nr_conns, reason)
        self._is_full = True
        self._rests_until = now + LOOK_AGAIN_SECONDS
        self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled and time.monotonic() >= self._rests_until)

    def enqueue_req(self, conn: Any) -> None:
        """gunicorn would give a kept connection a thread as soon as any of its next request is there, whether that came
        later or together with the last one.
        """
        self._may_wait(conn)
        self._look(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(min(timeout, LOOK_AGAIN_SECONDS) if self._is_watching() else timeout)
        self._look_again()
        for connection in [one for one in self._bodies_to_come if _is_late(one)]:
            self._body_came(connection, connection.sock)
        self._drop_overdue()
        if self._is_full or self.nr_conns >= self.worker_connections:  # then gunicorn no longer polls the listener
            self._make_room()
        end_overdue()
        for name, pool in (("requests", self.tpool), ("bodies", self._bodies)):
            if queued := pool.queued:
                make_way(name, queued)

    def _look_again(self) -> None:
        """Not at each event: there may be as many connections as the worker takes."""
        now = time.monotonic()
        if now >= self._looked + LOOK_AGAIN_SECONDS:
            self._looked = now
            incomplete, self._incomplete = self._incomplete, []
            for connection in incomplete:
                self._look(connection)

    def _is_watching(self) -> bool:
        """Whether anything has to be checked that no event will report."""
        queued = self.tpool.queued or self._bodies.queued
        is_full = self.nr_conns >= self.worker_connections or not self._accepting
        return bool(self._incomplete or self._bodies_to_come or queued or is_full)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Discarding the unread rest of a body may take a moment, but not a thread for gunicorn's five seconds."""
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))

    def close_later(self, connection: Connection) -> bool:
        """False if too many connections are already waiting."""
        if self._to_close >= MAX_CLOSING:
            return False
        self._to_close += 1
        self._closing.submit(connection.close_gracefully).add_done_callback(self._closed)
        return True

    def _closed(self, _: Any) -> None:
        self._to_close -= 1

    # --- requests that are on their way -------------------------------------------------------------------------------

    def _may_wait(self, connection: Connection) -> None:
        connection.sock.setblocking(False)
        connection.waits_since = time.monotonic()
        connection.timeout = connection.waits_since + HEAD_SECONDS
        connection.late_at = None

    def _wait_for_request(self, connection: Connection) -> None:
        self._may_wait(connection)
        self.pending_conns.append(connection)
        self.poller.register(connection.sock, EVENT_READ, partial(self._first_bytes, connection))

    def _first_bytes(self, connection: Connection, client: Any) -> None:
        self.poller.unregister(client)
        self.pending_conns.remove(connection)
        self._look(connection)

    def _look(self, connection: Connection) -> None:
        """Nothing is consumed from the kernel's buffer: gunicorn's parser reads it all."""
        seen, ahead = _peeked(connection.sock), connection.read_ahead()
        if seen is None and not ahead:
            self._drop(connection)
            return
        head = Head.of(ahead + (seen or b""))
        if head is not None and head.is_health:
            self._start(connection, self._health)
        elif (head is not None and head.has_all) or _said_all(connection.sock):
            self._start(connection, self.tpool)  # its thread won't wait: what is missing will never come
        elif head is not None and head.length is not None and connection.late_at is None:
            self._wait_for_body(connection, head.length - len(ahead))
        elif head is not None and (head.length is None or _is_late(connection)):
            self._start(connection, self._bodies)
        elif head is None and seen and len(seen) >= MAX_LOOK_BYTES:
            self._refuse(connection, 431, "Request Header Fields Too Large", "The request's head is too long")
        else:
            self._incomplete.append(connection)

    def _wait_for_body(self, connection: Connection, length: int) -> None:
        """It usually follows one packet behind its head. The kernel says when this many bytes have arrived."""
        connection.late_at = time.monotonic() + SOON_SECONDS
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, length)
        self._bodies_to_come.append(connection)
        self.poller.register(connection.sock, EVENT_READ, partial(self._body_came, connection))

    def _body_came(self, connection: Connection, client: Any) -> None:
        """The body has arrived; or it is late, or the client is gone."""
        self.poller.unregister(client)
        self._bodies_to_come.remove(connection)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._look(connection)

    def _start(self, connection: Connection, pool: Threads) -> None:
        connection.data_ready = True
        connection.sock.new_answer()
        done = pool.submit(self.handle, connection)
        done.add_done_callback(lambda future: self.method_queue.defer(self.finish_request, connection, future))

    def _drop_overdue(self) -> None:
        """Connections without any byte are in ``pending_conns``, which gunicorn handles."""
        now = time.monotonic()
        overdue = [one for one in self._incomplete if one.timeout <= now]
        self._incomplete = [one for one in self._incomplete if one.timeout > now]
        for connection in overdue:
            self._refuse(connection, 408, "Request Timeout", "The request did not arrive in time")

    def _waiting(self) -> list[Any]:
        """Lists of connections that only wait, and have had time to send something; the longest waiting come first."""
        until = time.monotonic() - LOOK_AGAIN_SECONDS
        lines = (self._incomplete, self.pending_conns, self.keepalived_conns)
        return [line for line in lines if line and line[0].waits_since <= until]

    def _make_room(self) -> None:
        """gunicorn takes no more than ``worker_connections``. Whoever has waited longest makes room for a new one."""
        self._is_full = False
        if lines := self._waiting():
            line = min(lines, key=lambda line: line[0].waits_since)
            oldest = line[0]
            del line[0]
            if line is not self._incomplete:
                self.poller.unregister(oldest.sock)
            self._drop(oldest)

    def _refuse(self, connection: Connection, status: int, reason: str, message: str) -> None:
        with contextlib.suppress(OSError):
            util.write_error(connection.sock, status, reason, message)
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self.nr_conns -= 1
        connection.close()


def _is_late(connection: Connection) -> bool:
    return connection.late_at is not None and time.monotonic() >= connection.late_at


def _peeked(sock: socket.socket) -> bytes | None:
    """What has arrived, left in the kernel's buffer; None if the client is gone."""
    try:
        return sock.recv(MAX_LOOK_BYTES, socket.MSG_PEEK) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None


def _said_all(sock: socket.socket) -> bool:
    """The client closed its side."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))
