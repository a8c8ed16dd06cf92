"""Commits that do not wait for the disk: some milliseconds each, which is what a short statement mostly takes.

Others see them at once, and nothing but a crash of the server takes one back. No later than 0.6 seconds, or when
anybody's next commit has waited, they last like any other. Whoever uses this says why a crash before that does no harm.
Never for a row whose changes have numbers (``changes``): a reader may have been told. SQLite waits always.
"""

from typing import Final

from django.db import connection

UNAWAITED: Final = "set_config('synchronous_commit', 'off', true)"  # anywhere in a statement, on PostgreSQL


def commit_unawaited() -> None:
    """The transaction that is open."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {UNAWAITED}")


def wait_for_all() -> None:
    """When this returns, all that was committed before lasts."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_logical_emit_message(true, '', '')")  # what writes nothing does not wait
