"""Which database errors mean "not now": the same statement may succeed in a moment. This is the one place that decides.

Code that can wait repeats the statement, code that can't answers 503. Any other database error is a mistake in the code
or the data, and repeating the statement would hide it. The drivers' classes do not tell the two apart: to psycopg2 a
database that takes no writes is an InternalError, and a text longer than PostgreSQL can store an OperationalError.
"""

import sqlite3
import time
from typing import Final

import psycopg2
from django.db import InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

# By SQLSTATE, whole or its beginning, with the reason.
_POSTGRESQL: Final = {
    "08": "the connection broke, or none could be made",
    "25006": "it takes no writes: a standby, a failover, a guard against a full disk",
    "25P03": "it ended our connection because a transaction on it was idle: a new one works",
    "25P04": "it ended our connection, whose transaction took too long: a new one works",
    "40001": "two transactions met, or a standby's replay was in the way: one has to repeat",
    "40003": "nobody knows whether it was done; our statements may all be repeated",
    "40P01": "a deadlock: one has to repeat",
    "53000": "it lacks a resource, such as file handles",
    "53100": "its disk is full, until somebody frees space",
    "53200": "it lacks memory",
    "53300": "it has too many connections",
    "55P03": "a lock is held for longer than we wait",
    "57014": "the statement took longer than allowed because others blocked it, or a person cancelled it",
    "57P": "it shuts down, starts up, crashed, or ended our connection",
    "58": "its files or disks fail, until somebody repairs them",
}
# Not included, although psycopg2 raises OperationalError for them too: 26 (a prepared statement does not exist: a
# pooler is between us and the server), 28 (the server rejects our credentials), 53400 and 54 (limits of the build or
# the configuration: a result that is too large stays too large), and 55 except for the lock (the object is not in a
# suitable state).

_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: "another process writes",
    sqlite3.SQLITE_LOCKED: "another connection of this process writes",
    sqlite3.SQLITE_READONLY: "its file takes no writes",
    sqlite3.SQLITE_IOERR: "its disk fails, or its user's quota is used up",
    sqlite3.SQLITE_FULL: "its disk is full",
    sqlite3.SQLITE_CANTOPEN: "its file is missing, or this process has no file handle left",
    sqlite3.SQLITE_PROTOCOL: "others opened it at the same moment again and again",
}

_NO_WRITES: Final = {"25006", "53100", sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}


def not_now(exc: BaseException) -> bool:
    """Whether the same statement may succeed in a moment, on a new connection. False for other exceptions.

    ``exc`` is Django's exception, or the driver's.
    """
    driver = _of_driver(exc)
    if isinstance(driver, psycopg2.Error):
        if driver.pgcode is None:  # the client library's: it has no connection, or is out of step with the server
            return type(driver) in {psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError}
        return any(driver.pgcode.startswith(known) for known in _POSTGRESQL)
    if isinstance(driver, sqlite3.Error):
        return _primary(driver) in _SQLITE
    return isinstance(exc, OperationalError | InterfaceError)  # Django's own message


def takes_no_writes(exc: BaseException) -> bool:
    """Whether it says that the database can be read but not written."""
    driver = _of_driver(exc)
    if isinstance(driver, psycopg2.Error):
        return driver.pgcode in _NO_WRITES
    return isinstance(driver, sqlite3.Error) and _primary(driver) in _NO_WRITES


def took_too_long(exc: BaseException) -> bool:
    """Whether the database ended the statement because it took longer than allowed."""
    driver = _of_driver(exc)
    return isinstance(driver, psycopg2.Error) and driver.pgcode == "57014"


def connection_is_lost(exc: BaseException) -> bool:
    """Whether anything else on the same connection would fail too."""
    driver = _of_driver(exc)
    if isinstance(driver, psycopg2.Error):
        return not_now(driver) and (driver.pgcode is None or driver.pgcode.startswith(("08", "25P", "57P")))
    return not isinstance(driver, sqlite3.Error) and not_now(exc)


def outcome_is_unknown(exc: BaseException) -> bool:
    """Whether a COMMIT that failed like this may still have taken effect: the server did not say that it has not."""
    driver = _of_driver(exc)
    if not isinstance(driver, psycopg2.Error):
        return False  # SQLite runs in this process, and reports what it did
    return connection_is_lost(driver) or (driver.pgcode or "") == "40003"


def part_with(database: BaseDatabaseWrapper) -> None:
    """Let Django close this connection as soon as no transaction is open.

    The server that we are connected to still answers, but a new connection may lead to one that takes writes.
    """
    database.close_at = time.monotonic()


def _of_driver(exc: BaseException) -> BaseException:
    """Django keeps the driver's exception as the cause of its own."""
    return exc.__cause__ if isinstance(exc.__cause__, psycopg2.Error | sqlite3.Error) else exc


def _primary(exc: sqlite3.Error) -> int | None:
    """SQLite's extended codes contain the primary code in their lowest byte. Python's own errors have none."""
    code = getattr(exc, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
