"""Statements that PostgreSQL plans once per connection, for those that take longer to plan than to execute.

They outlive the transaction that prepared them, but not its connection.
"""

from collections.abc import Mapping
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from django.db import NotSupportedError, OperationalError
from django.db.backends.utils import CursorWrapper

MANY = 1000  # from this number of rows on, a plan is worth keeping


class Prepared:
    """One statement with named parameters, such as ``%(job)s``."""

    def __init__(self, name: str, sql: str, types: Mapping[str, str]) -> None:
        """``types`` names PostgreSQL's type of each parameter; ``name`` is what the server's views show."""
        numbered = {parameter: f"${number}" for number, parameter in enumerate(types, start=1)}
        self.sql = sql
        self._name = name
        self._prepare = f"({', '.join(types.values())}) AS {sql % numbered}"
        self._execute = f"({', '.join(f'%({parameter})s' for parameter in types)})"

    def execute(self, cursor: CursorWrapper, parameters: Mapping[str, Any], *, rows: int | None = None) -> None:
        """Execute it as a prepared statement on PostgreSQL, and as it is on other databases.

        Args:
            rows: how many rows the table may have, for a statement that searches it. PostgreSQL would plan to read a
            table of a few pages whole, and keep that plan for a while after the table has grown: see ``MANY``.
        """
        if cursor.db.vendor != "postgresql" or (rows is not None and rows < MANY):
            cursor.execute(self.sql, parameters)
            return
        try:
            cursor.execute(f"EXECUTE {self._on(cursor)} {self._execute}", parameters)
        except NotSupportedError as exc:
            if "cached plan" not in str(exc):
                raise
            # A migration changed a column's type, and PostgreSQL does not plan the statement again.
            del _prepared[cursor.connection][self]
            if cursor.db.in_atomic_block:
                raise OperationalError("the transaction must be repeated after a migration") from exc
            cursor.execute(f"EXECUTE {self._on(cursor)} {self._execute}", parameters)

    def _on(self, cursor: CursorWrapper) -> str:
        """Its name on this connection, where it is prepared if need be."""
        names = _prepared.setdefault(cursor.connection, {})
        if self not in names:
            # No name is used twice: a time limit may interrupt us after PostgreSQL has noted it and before we have.
            name = f"{self._name}_{next(_numbers)}"
            cursor.execute(f"PREPARE {name} {self._prepare}")
            names[self] = name
        return names[self]


_numbers = count(1)
_prepared: "WeakKeyDictionary[Any, dict[Prepared, str]]" = WeakKeyDictionary()  # by the driver's connection
