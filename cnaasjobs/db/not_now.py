"""Which errors of a database mean "not now": the same statement may succeed in a moment. The one place that decides it.

Who can wait repeats it, who can't answers 503. Whatever else a database says is somebody's mistake, and repeating it
would hide that. The drivers' classes don't tell the two apart: to psycopg2 a database that takes no writes is an
InternalError, and a text longer than PostgreSQL can hold an OperationalError.
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
    "25006": "it takes no writes: a standby, a failover, somebody's guard of a full disk",
    "25P03": "it ended our connection, on which a transaction stood idle: a new one works",
    "25P04": "it ended our connection, whose transaction took too long: a new one works",
    "40001": "two transactions met, or a standby's replay was in the way: one has to repeat",
    "40003": "nobody knows whether it was done; our statements may all be repeated",
    "40P01": "a deadlock: one has to repeat",
    "53000": "it lacks a resource, such as file handles",
    "53100": "its disk is full, until somebody makes room",
    "53200": "it lacks memory",
    "53300": "it has too many connections",
    "55P03": "a lock is held for longer than we wait",
    "57014": "the statement took longer than it may: others hold it up; or a person cancelled it",
    "57P": "it shuts down, starts up, crashed, or ended our connection",
    "58": "its own files or disks fail, until somebody mends them",
}
# Not among them, although psycopg2 has them as OperationalErrors too: 26 (a prepared statement is not there: a pooler
# between us and the server), 28 (the server does not trust us), 53400 and 54 (more than it is built or configured for:
# a result that is too large stays so), 55 but for the lock (what we ask does not fit what is there).

_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: "another process writes",
    sqlite3.SQLITE_LOCKED: "another connection of this process writes",
    sqlite3.SQLITE_READONLY: "its file takes no writes",
    sqlite3.SQLITE_IOERR: "its disk fails, or its user's quota is used up",
    sqlite3.SQLITE_FULL: "its disk is full",
    sqlite3.SQLITE_CANTOPEN: "its file is not there now, or this process has no file handle left",
    sqlite3.SQLITE_PROTOCOL: "others opened it at the same moment again and again",
}

_NO_WRITES: Final = {"25006", "53100", sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}


def not_now(exc: BaseException) -> bool:
    """Whether the same statement may succeed in a moment, on a new connection. False for what is no database's error.

    ``exc`` is Django's exception, or the driver's.
    """
    driver = _of_driver(exc)
    if isinstance(driver, psycopg2.Error):
        if driver.pgcode is None:  # the client's: it has no connection, or lost the thread of the conversation
            return type(driver) in {psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError}
        return any(driver.pgcode.startswith(known) for known in _POSTGRESQL)
    if isinstance(driver, sqlite3.Error):
        return _primary(driver) in _SQLITE
    return isinstance(exc, OperationalError | InterfaceError)  # Django's own words


def takes_no_writes(exc: BaseException) -> bool:
    """Whether it says that it can be read and not written."""
    driver = _of_driver(exc)
    if isinstance(driver, psycopg2.Error):
        return driver.pgcode in _NO_WRITES
    return isinstance(driver, sqlite3.Error) and _primary(driver) in _NO_WRITES


def took_too_long(exc: BaseException) -> bool:
    """Whether it ended the statement because that took longer than it may."""
    driver = _of_driver(exc)
    return isinstance(driver, psycopg2.Error) and driver.pgcode == "57014"


def connection_is_lost(exc: BaseException) -> bool:
    """Whether whatever is asked of the same connection fails too."""
    driver = _of_driver(exc)
    if isinstance(driver, psycopg2.Error):
        return not_now(driver) and (driver.pgcode is None or driver.pgcode.startswith(("08", "25P", "57P")))
    return not isinstance(driver, sqlite3.Error) and not_now(exc)


def outcome_is_unknown(exc: BaseException) -> bool:
    """Whether a COMMIT that ended so may have been done all the same: the server did not say that it was not."""
    driver = _of_driver(exc)
    if not isinstance(driver, psycopg2.Error):
        return False  # SQLite is in this process, and says what it did
    return connection_is_lost(driver) or (driver.pgcode or "") == "40003"


def part_with(database: BaseDatabaseWrapper) -> None:
    """Django closes this connection as soon as no transaction is open: the server that we are connected to still
    answers, but a new connection may lead to one that takes writes."""
    database.close_at = time.monotonic()


def _of_driver(exc: BaseException) -> BaseException:
    """Django keeps the driver's exception as the cause of its own."""
    return exc.__cause__ if isinstance(exc.__cause__, psycopg2.Error | sqlite3.Error) else exc


def _primary(exc: sqlite3.Error) -> int | None:
    """SQLite's extended codes have the primary one in their lowest byte. Python's own errors have none."""
    code = getattr(exc, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
