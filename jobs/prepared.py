"""Statements that PostgreSQL plans once for each connection: for those that take longer to plan than to execute.

They outlive the transaction that prepared them, and none outlives its connection.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.utils import CursorWrapper


class Prepared:
    """One statement with named parameters, such as ``%(job)s``."""

    def __init__(self, name: str, sql: str, types: Mapping[str, str]) -> None:
        """``types`` names PostgreSQL's type of each parameter. ``name`` is unique among them all."""
        numbered = {parameter: f"${number}" for number, parameter in enumerate(types, start=1)}
        self.sql = sql
        self._name = name
        self._prepare = f"PREPARE {name} ({', '.join(types.values())}) AS {sql % numbered}"
        self._execute = f"EXECUTE {name} ({', '.join(f'%({parameter})s' for parameter in types)})"

    def execute(self, cursor: CursorWrapper, parameters: Mapping[str, Any]) -> None:
        prepared = _prepared.setdefault(cursor.connection, set())
        if self._name not in prepared:
            cursor.execute(self._prepare)
            prepared.add(self._name)
        cursor.execute(self._execute, parameters)


_prepared: "WeakKeyDictionary[Any, set[str]]" = WeakKeyDictionary()  # by the driver's connection
