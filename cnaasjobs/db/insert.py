"""Inserts rows by our own statements: Django takes longer to build one than the database takes to execute it."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, Final, cast

from django.db import connection, models
from django.db.models import Field, Model

from cnaasjobs.db.clock import DatabaseNow, now_sql
from cnaasjobs.db.prepared import Prepared

_BATCH: Final = 1000
# For these types, preparing a value would change nothing.
_PLAIN: Final[dict[type, type]] = {
    models.CharField: str,
    models.TextField: str,
    models.BooleanField: bool,
    models.SmallIntegerField: int,
    models.BigIntegerField: int,
    models.PositiveIntegerField: int,
}


def insert(row: Model) -> datetime | None:
    """Insert a new row, whose key the database makes; sends no signals. ``DatabaseNow()`` may stand for a time.

    Returns the database's time; None on SQLite.
    """
    values: dict[str, Any] = {}
    times: list[str] = []  # columns that get the database's time
    for field in _fields(type(row)):
        value = getattr(row, field.attname)
        if value is None:  # a column that is left out is null
            continue
        if isinstance(value, DatabaseNow):
            times.append(str(field.column))
        else:
            values[str(field.column)] = _for_driver(field, value)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _statement(type(row), (*values,), (*times,)).execute(cursor, values)
        else:
            now, now_params = now_sql()
            places = [*["%s"] * len(values), *[now] * len(times)]
            cursor.execute(
                f"{_into(type(row), [*values, *times])} VALUES ({', '.join(places)}) RETURNING id, NULL",
                [*values.values(), *now_params * len(times)],
            )
        [(key, time)] = cursor.fetchall()
    _set_keys([row], [(key,)])
    return cast("datetime | None", time)


@cache
def _statement(model: type[Model], given: tuple[str, ...], times: tuple[str, ...]) -> Prepared:
    """The INSERT of a row with these columns. PostgreSQL parses it once per connection."""
    places = [*(f"%({column})s" for column in given), *("statement_timestamp()" for _ in times)]
    types = {column: _type(model, column) for column in given}
    sql = f"{_into(model, [*given, *times])} VALUES ({', '.join(places)}) RETURNING id, statement_timestamp()"
    return Prepared("insert", sql, types)


def insert_many(rows: Sequence[Model], *, replacing: str | None = None) -> None:
    """Insert new rows of one model in their order, as ``insert`` does. In a transaction: all or none.

    Values that are the same in all rows are sent once, so that many similar rows cost little more than one.

    Args:
        replacing: a unique column; an existing row with the same value in it gets the new row's values.
    """
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        if connection.vendor == "postgresql":
            _insert_batch(batch, replacing)
        elif replacing is None:
            type(batch[0])._default_manager.bulk_create(batch)
        else:
            others = [field.name for field in _fields(type(batch[0])) if field.name != replacing]
            type(batch[0])._default_manager.bulk_create(
                batch, update_conflicts=True, unique_fields=[replacing], update_fields=others
            )


def _insert_batch(rows: Sequence[Model], replacing: str | None) -> None:
    columns: list[str] = []
    places: list[str] = []
    values: list[Any] = []
    given: dict[str, list[Any]] = {}
    for field in _fields(type(rows[0])):
        name = str(field.column)
        column = list(map(attrgetter(field.attname), rows))
        first = column[0]
        same = column.count(first) == len(column)
        if same and first is None and replacing is None:
            continue
        columns.append(name)
        if same:
            place, params = _place(field, first)
            places.append(place)
            values += params
        else:
            places.append(f"given.{name}")
            given[name] = [_for_driver(field, value) for value in column]
    types = [f"unnest(%s::{_type(type(rows[0]), name)}[])" for name in given]
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns if column != replacing)
    otherwise = f" ON CONFLICT ({replacing}) DO UPDATE SET {updates}" if replacing else ""
    functions = ", ".join([*types, f"generate_series(1, {len(rows)})"])
    names = ", ".join([*given, "row"])
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_into(type(rows[0]), columns)} SELECT {', '.join(places)} FROM ROWS FROM ({functions}) AS given({names})"
            f" ORDER BY row{otherwise} RETURNING id",
            [*values, *given.values()],
        )
        _set_keys(rows, cursor.fetchall())


def _place(field: "Field[Any, Any]", value: Any) -> tuple[str, list[Any]]:
    """SQL for one value, and its parameters."""
    if isinstance(value, DatabaseNow):
        return now_sql()
    return "%s", [_for_driver(field, value)]


def _for_driver(field: "Field[Any, Any]", value: Any) -> Any:
    """The value as the driver takes it."""
    return value if type(value) is _PLAIN.get(type(field)) else field.get_db_prep_save(value, connection)


def _type(model: type[Model], column: str) -> str:
    """PostgreSQL's name of the column's type, without its length: a cast with one would truncate what is too long."""
    return str(model._meta.get_field(column).db_type(connection)).partition("(")[0]


def _set_keys(rows: Sequence[Model], keys: Sequence[tuple[int]]) -> None:
    for row, (key,) in zip(rows, keys, strict=True):
        row.pk = key
        row._state.adding, row._state.db = False, connection.alias


def _into(model: type[Model], columns: Sequence[str]) -> str:
    return f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"


@cache
def _fields(model: type[Model]) -> "list[Field[Any, Any]]":
    """The fields that we give a value; the database fills in the generated ones."""
    return [field for field in model._meta.concrete_fields if not field.primary_key and not field.generated]
