"""Whether the database takes writes now."""

from django.db import Error, connection

from cnaasjobs.db.not_now import takes_no_writes


def takes_writes() -> bool:
    """Ask the server in a new transaction, without writing: a standby says no, and so does a guard against a full disk.

    Raises:
        Error: it is away.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            return bool(cursor.fetchone()[0] == "off")
    return _sqlite_takes_writes()


def commits_wait() -> bool:
    """Whether a session, as far as our role may see them, waits for a synchronous standby to confirm its commit."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep')")
        return bool(cursor.fetchone()[0])


def _sqlite_takes_writes() -> bool:
    """SQLite says so when a write transaction begins. If it is busy, another process is writing, so it takes writes."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        (patience,) = cursor.fetchone()
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
        except Error as exc:
            return not takes_no_writes(exc)
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(patience)}")
    return True
