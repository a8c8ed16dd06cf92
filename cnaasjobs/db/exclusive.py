"""Lets only one process at a time do a step that would otherwise be done twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from django.db import connection

_SPACE = 0x636E6161  # ours, among all advisory locks in the database


@contextmanager
def exclusively(step: str) -> Iterator[bool]:
    """True if this process may do the step now. Always true on SQLite, where the step's own guards are enough.

    It is a session lock: the server releases it when its holder's connection is gone.
    """
    if connection.vendor != "postgresql":
        yield True
        return
    key = crc32(step.encode()) & 0x7FFFFFFF
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_SPACE, key])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine and connection.connection is not None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_SPACE, key])
