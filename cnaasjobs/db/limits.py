"""What each of our connections asks of PostgreSQL when it is made: how long to wait for us, and what others may have
set otherwise.

A host that vanishes (power, network) tells nobody. Without limits its transaction keeps its row locks, and its session
keeps its advisory locks and its place among ``max_connections``, for as long as the server's operating system waits:
hours. The limits are set by a statement, not as connection options, which poolers refuse.

An administrator may give the database or our role other defaults. Some of them would break promises. Our statements
judge a row again when they have waited for it, as they do at "read committed"; at the other levels they fail, or see
what was there before. A limit on statements or transactions would refuse a long result each time it is stored. And a
limit on idle sessions would fail what a job asks after it has worked without the database for that long. Old dialects
would change what a statement means: a NULL in a list is the word "NULL", or NULL equals NULL. Not so
standard_conforming_strings: psycopg2 quotes by what it is at the beginning, and setting it later makes that wrong.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

# The far end is gone when it has been silent for 10 s and does not answer three probes, or has not acknowledged data
# for 15 s. A peer that answers, but stays idle inside a transaction, is frozen, or behind something that keeps its
# connections open: 20 s of that is not our code, which never pauses inside a transaction.
_EVERY_CONNECTION: Final = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",  # milliseconds, as the server shows it
    "idle_in_transaction_session_timeout": "20s",
    "idle_session_timeout": "0",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "0",
    "array_nulls": "on",
    "transform_null_equals": "off",
}
_SINCE_17: Final = {"transaction_timeout": "0"}  # an older server does not know it
_of_this_process: dict[str, str] = {}


def ask_in_this_process(**settings: str) -> None:
    """Every connection that this process makes from now on also sets these, or overrides the former value."""
    _of_this_process.update(settings)


class _Limited(threading.local):
    connection: object | None = None


_limited = _Limited()


def limit_this_thread(**settings: str) -> None:
    """Set these on this thread's connection. Costs one statement for each new connection."""
    if connection.vendor != "postgresql":
        return
    connection.ensure_connection()
    if _limited.connection is not connection.connection:
        _ask(connection, settings)
        _limited.connection = connection.connection


def _ask(database: BaseDatabaseWrapper, settings: Mapping[str, str]) -> None:
    calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {calls}", [part for pair in settings.items() for part in pair])


def _connected(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor == "postgresql":
        since = _SINCE_17 if connection.pg_version >= 170000 else {}  # type: ignore[attr-defined]
        _ask(connection, {**_EVERY_CONNECTION, **since, **_of_this_process})


connection_created.connect(_connected, dispatch_uid="cnaasjobs.db.limits")
