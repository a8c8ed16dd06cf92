"""Running a hand-written statement on Django's connection. It is in the caller's transaction, if there is one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

Values = Mapping[str, Any] | Sequence[Any]


def rows(statement: str, values: Values = ()) -> list[tuple[Any, ...]]:
    """All rows that the statement returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def change(statement: str, values: Values) -> int:
    """Execute a statement; returns how many rows it wrote or deleted."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def marks(values: Sequence[Any]) -> str:
    """A placeholder for each of these values, separated by commas."""
    return ",".join(["%s"] * len(values))


def adapted(when: datetime) -> Any:
    """A time as the database stores it."""
    return connection.ops.adapt_datetimefield_value(when)
