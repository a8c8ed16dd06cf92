"""The database's clock, which decides what is due. Monotonic clocks decide who is gone; see ``jobs.upkeep``."""

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Func
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone


class DatabaseNow(Func):
    """The moment of this statement by the database's clock, not the start of the transaction.

    It is not ``clock_timestamp()`` either: that changes during the statement, so a comparison can't use an index.
    SQLite runs in this process: its clock is ours, and Python's has the microseconds that its SQL functions lack.
    """

    function = "STATEMENT_TIMESTAMP"
    output_field = DateTimeField()

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any
    ) -> tuple[str, tuple[Any, ...]]:
        return "%s", (_OfTheStatement(),)


class _OfTheStatement:
    """A parameter whose value SQLite asks for at each execution, so that the statement need be built only once."""

    def __conform__(self, _: object) -> str:
        return str(connection.ops.adapt_datetimefield_value(timezone.now()))


def database_now() -> datetime:
    """Ask the database for its time (aware, UTC)."""
    if connection.vendor == "sqlite":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def now_sql() -> tuple[str, list[Any]]:
    """The same moment for a hand-written statement: SQL text and its parameters."""
    if connection.vendor == "sqlite":
        return "%s", [connection.ops.adapt_datetimefield_value(timezone.now())]
    return "statement_timestamp()", []
