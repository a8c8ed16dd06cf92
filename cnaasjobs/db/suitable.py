"""Whether the platform can work on a database: all text as UTF-8, and a session for each connection.

A pooler such as PgBouncer comes between the two. In its "transaction" mode it gives each transaction whichever session
is free: LISTEN, prepared statements, time limits and advisory locks are silently lost, or are those of another client.
"""

import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, Final

import psycopg2
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg2 import extensions

_WANTED: Final = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}
_SECONDS: Final = 3.0
_CONNECTIONS: Final = 5  # with several PgBouncers behind one port, two of these reach the same one
_ROUNDS: Final = 3
_BACKEND: Final = "SELECT pg_backend_pid()"


def unsuitable(connection: BaseDatabaseWrapper) -> Iterator[str]:
    """What is wrong with it, in sentences. Raises a database error if it is away."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT current_setting('server_encoding'), ({_BACKEND})")
        encoding, backend = cursor.fetchone()
    if encoding != "UTF8":
        yield (
            f"The database's encoding is {encoding}: it must be UTF8, or names and configurations cannot be stored"
            " (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)"
        )
    # A pooler makes up the process number that it tells its clients, so that it can route their cancel requests.
    if backend != connection.connection.info.backend_pid and _sessions_are_shared(connection):
        yield (
            "The database is behind a pooler in transaction or statement mode: the platform needs a session for each of"
            " its connections (PgBouncer: pool_mode = session), or none in between"
        )


def _sessions_are_shared(connection: BaseDatabaseWrapper) -> bool:
    """True if one session of the server serves two connections, or one connection is served by two sessions.

    If a pool in session mode has no free session, we wait: a connection that has not answered by then shares nothing.
    """
    parameters = connection.get_connection_params()
    known = {key: value for key, value in parameters.items() if key not in ("cursor_factory", "connection_factory")}
    deadline = time.monotonic() + _SECONDS
    owners: dict[int, int] = {}  # server process -> which of our connections it served
    with ExitStack() as stack:
        try:
            clients = [stack.enter_context(closing(psycopg2.connect(**known, async_=1))) for _ in range(_CONNECTIONS)]
            for client in clients:
                _wait(client, deadline)
            for number, client in [*enumerate(clients)] * _ROUNDS:
                if owners.setdefault(_backend(client, deadline), number) != number:
                    return True
        except (TimeoutError, psycopg2.Error):
            pass
    return len(owners) > len(set(owners.values()))


def _backend(client: Any, deadline: float) -> int:
    cursor = client.cursor()
    cursor.execute(_BACKEND)
    _wait(client, deadline)
    return int(cursor.fetchone()[0])


def _wait(client: Any, deadline: float) -> None:
    while (state := client.poll()) != extensions.POLL_OK:
        poll = select.poll()
        poll.register(client.fileno(), _WANTED[state])
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
