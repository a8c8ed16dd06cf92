"""A transaction that code begins on its thread's connection and does not end."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg2.extensions import TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_INTRANS

_BEGUN = {TRANSACTION_STATUS_INTRANS, TRANSACTION_STATUS_INERROR}


@contextmanager
def none_left_open(*, by: str) -> Iterator[None]:
    """Afterwards no transaction is open on this thread's connection, and the next statement finds a usable one.

    Otherwise the end of the job would be part of that transaction and lost with it, and so would be the claims of all
    later jobs in this process.

    Raises:
        RuntimeError: the code inside returned with one open. What it wrote there is rolled back.
    """
    if connections[DEFAULT_DB_ALIAS].in_atomic_block:  # a test's, around the whole job
        yield
        return
    try:
        yield
    finally:
        was_open = roll_back_left_open()
    if was_open:
        raise RuntimeError(f"{by} left a database transaction open: what it wrote there was rolled back")


def roll_back_left_open() -> bool:
    """Whether a transaction was open on this thread's connection. The next statement finds a usable one."""
    connection = connections[DEFAULT_DB_ALIAS]
    if not _is_open(connection):
        return False
    connection.in_atomic_block = False  # with it, close() keeps the broken connection for the block's end
    connection.close()
    return True


def _is_open(connection: BaseDatabaseWrapper) -> bool:
    driver = connection.connection
    if driver is None or not connection.autocommit:
        return driver is not None  # inside of atomic() too, autocommit is off
    if connection.vendor == "postgresql":  # begun in SQL, which Django does not see
        return driver.get_transaction_status() in _BEGUN
    return bool(driver.in_transaction)
