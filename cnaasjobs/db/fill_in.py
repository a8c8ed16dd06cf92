"""Fills in an empty column for some rows: an update by keys that costs no time to build."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Model

from cnaasjobs.db.prepared import Prepared


def fill_in(model: type[Model], column: str, value: Any, *, key: str, keys: Sequence[str]) -> None:
    """In the rows with these keys, set the column to ``value`` where it was null. ``key`` is a text column."""
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        statement = _statement(model, column, key, is_postgresql)
        statement.execute(cursor, {"value": value, "keys": list(keys) if is_postgresql else json.dumps(keys)})


@cache
def _statement(model: type[Model], column: str, key: str, is_postgresql: bool) -> Prepared:
    among = "= ANY(%(keys)s)" if is_postgresql else "IN (SELECT value FROM json_each(%(keys)s))"
    sql = f"UPDATE {model._meta.db_table} SET {column} = %(value)s WHERE {column} IS NULL AND {key} {among}"
    type_of = str(model._meta.get_field(column).db_type(connection))
    return Prepared("fill_in", sql, {"value": type_of, "keys": "text[]"})
