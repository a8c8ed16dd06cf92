"""Inserting one row by a statement that is kept: Django builds it anew for longer than the database executes it."""

from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Model

from jobs.clock import DatabaseNow, now_sql


def insert(row: Model) -> None:
    """Insert a new row, whose key the database makes; sends no signals. ``DatabaseNow()`` may stand for a time."""
    now, now_params = now_sql()
    places: list[str] = []
    values: list[Any] = []
    for field in row._meta.concrete_fields:
        if field.primary_key:
            continue
        value = getattr(row, field.attname)
        is_now = isinstance(value, DatabaseNow)
        places.append(now if is_now else "%s")
        values += now_params if is_now else [field.get_db_prep_save(value, connection)]
    with connection.cursor() as cursor:
        cursor.execute(f"{_insert_into(type(row))} VALUES ({', '.join(places)}) RETURNING id", values)
        (row.pk,) = cursor.fetchone()
    row._state.adding, row._state.db = False, connection.alias


@cache
def _insert_into(model: type[Model]) -> str:
    columns = [str(field.column) for field in model._meta.concrete_fields if not field.primary_key]
    return f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"
