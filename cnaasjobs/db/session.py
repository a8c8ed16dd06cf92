"""This thread's session with the database server, and the server's processes. SQLite has neither: it is in-process."""

from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connection, connections


def is_in_process() -> bool:
    """Whether there is no server: the database is a library in this process, and a file."""
    return connections[DEFAULT_DB_ALIAS].vendor == "sqlite"


def server_process() -> int:
    """The server's process at the other end, which may outlive the connection; 0 where there is no server."""
    if connection.vendor != "postgresql":
        return 0
    connection.ensure_connection()
    driver = connection.connection
    if driver not in _processes:  # the driver's own number may come from a pooler, which makes one up
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            _processes[driver] = cursor.fetchone()[0]
    return _processes[driver]


_processes: "WeakKeyDictionary[Any, int]" = WeakKeyDictionary()  # by the driver's connection


def is_server_process(pid: int) -> bool:
    """Whether the server (PostgreSQL) still has this process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s)", [pid])
        return bool(cursor.fetchone()[0])
