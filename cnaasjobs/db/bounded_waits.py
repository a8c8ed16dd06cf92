"""A bounded wait for PostgreSQL, for the web and the events process.

A frozen server (SIGSTOP, a dead disk) still answers at the level of TCP, so no time limit of TCP ends the wait for it,
and psycopg2 waits in C without a limit. ``bound_waits`` gives psycopg2 a wait of our own: it waits as long as data
moves; after ``SILENCE`` seconds without any it tries a new connection. If that is answered, the query is merely slow
and may go on, up to ``LONGEST``. If not, the database is away: OperationalError, and psycopg2 closes the connection.
Whatever the thread asks in the next second fails at once, because Django tries the old connection and then a new one,
and a request has 2 s.

Of several hosts in DATABASE_URL, libpq tries one after the other; but where it does not itself wait, as here, it has no
time limit for any of them. One that says nothing becomes the last of them, so that the next attempt begins elsewhere.

Only for processes whose connections belong to one thread each: psycopg2 then allows no sharing.
"""

import select
import threading
import time
from collections.abc import Mapping
from typing import Any

import psycopg2
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg2 import extensions

from cnaasjobs.conf import conf
from cnaasjobs.db.limits import ask_in_this_process

CONNECTED = 0  # libpq: CONNECTION_OK

SILENCE = 0.6
PROBE = 0.6
FAR_PROBE = 1.3  # for a server that is far away; a request still gets its answer within 2 s
LONGEST = 30.0
# The server rolls back a transaction that is left open longer than this. It is less than SILENCE + PROBE: a frozen
# server that goes on must not find a COMMIT in its socket that we have already answered with a 503.
IDLE_IN_TRANSACTION_SECONDS = 1.0

REMEMBERED = 1.0


class _Verdict(threading.local):
    away_until = float("-inf")


_verdict = _Verdict()
_quickest = float("inf")  # the fastest time to connect, in seconds: the distance to the server
_WANTED = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}


def bound_waits() -> None:
    """Bound every wait of this process for PostgreSQL. Call once, before the first connection."""
    if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
        connections.settings[DEFAULT_DB_ALIAS]["CONN_HEALTH_CHECKS"] = False  # see new_request
        extensions.set_wait_callback(_wait)
        ask_in_this_process(
            idle_in_transaction_session_timeout=f"{IDLE_IN_TRANSACTION_SECONDS * 1000:.0f}ms",
            statement_timeout=f"{conf.read_seconds * 1000:.0f}ms",
        )


def new_request() -> None:
    """This thread begins a new request: what the previous one learned about the database no longer counts.

    A server that ended the connection has announced it, and otherwise hardly ever sends anything without being asked:
    if there is something to read, the connection is dropped before a query fails on it.
    """
    _verdict.away_until = float("-inf")
    database = connections[DEFAULT_DB_ALIAS]
    driver = database.connection
    if isinstance(driver, extensions.connection) and (driver.closed or _ready(driver, extensions.POLL_READ, 0)):
        database.close()


def answers(timeout: float, *, host: str | None = None, port: int | None = None) -> bool:
    """True if the server accepts a fresh connection within this many seconds: the one at this address, of several."""
    parameters: Mapping[str, Any] = connections[DEFAULT_DB_ALIAS].get_connection_params()
    known = {key: value for key, value in parameters.items() if key not in ("cursor_factory", "connection_factory")}
    known |= {"host": host, "port": port} if host else {}
    deadline = time.monotonic() + timeout
    try:
        probe = psycopg2.connect(**known, async_=1)
    except psycopg2.Error:
        return False
    try:
        while (state := probe.poll()) != extensions.POLL_OK:
            if not _ready(probe, state, deadline - time.monotonic()):
                return False
    except psycopg2.Error:
        return False
    finally:
        probe.close()
    return True


def _wait(connection: Any) -> None:
    """Called by psycopg2 whenever it would block."""
    global _quickest
    if time.monotonic() < _verdict.away_until:
        raise psycopg2.OperationalError("the database did not answer a moment ago")
    connecting = connection.info.status != CONNECTED
    # A connection being made is its own probe.
    started = time.monotonic()
    longest = started + (SILENCE if connecting else LONGEST)
    while (state := connection.poll()) != extensions.POLL_OK:
        while not _ready(connection, state, SILENCE):
            if not connecting and not answers(_probe_seconds(), host=connection.info.host, port=connection.info.port):
                _verdict.away_until = time.monotonic() + REMEMBERED
                raise psycopg2.OperationalError("the database does not answer")
            if time.monotonic() > longest:
                if connecting:
                    _try_last(connection.info.host, connection.info.port)
                raise psycopg2.OperationalError("no answer from the database in time")
    if connecting:
        _quickest = min(_quickest, time.monotonic() - started)


def _try_last(host: str, port: int) -> None:
    settings = connections.settings[DEFAULT_DB_ALIAS]
    hosts, ports = str(settings["HOST"]).split(","), str(settings["PORT"]).split(",")
    each = zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=True)
    by_turn = sorted(each, key=lambda one: one[0] == host and one[1] in ("", str(port)))
    settings.update(HOST=",".join(one for one, _ in by_turn), PORT=",".join(one for _, one in by_turn))


def _probe_seconds() -> float:
    known = _quickest if _quickest < float("inf") else 0.0
    return min(max(PROBE, 1.5 * known), FAR_PROBE)


def _ready(connection: Any, state: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), _WANTED[state])
    return bool(poll.poll(max(0.0, timeout * 1000)))
