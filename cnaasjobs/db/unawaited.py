"""Commits that do not wait for the disk. Waiting takes some milliseconds, most of the time of a short statement.

Others see such a commit at once, and only a crash of the server can take it back. After 0.6 seconds at most, or once
anybody's next commit has waited, it is as durable as any. Whoever uses this has to say why a crash before that does no
harm. Never use it for a row whose changes have numbers (``changes``): a reader may have been told of it already. SQLite
always waits.
"""

from typing import Final

from django.db import connection

UNAWAITED: Final = "set_config('synchronous_commit', 'off', true)"  # anywhere in a statement, on PostgreSQL


def commit_unawaited() -> None:
    """Let the transaction that is open commit without waiting."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {UNAWAITED}")
