"""``column__contains_any_case``: a literal piece of text in any case, the same on every database.

Django's ``icontains`` leaves anything beyond ASCII as it is on SQLite, whose LIKE knows no other letters.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, TextField
from django.db.models.lookups import IContains
from django.db.models.sql.compiler import SQLCompiler


@CharField.register_lookup
@TextField.register_lookup
class ContainsAnyCase(IContains):
    lookup_name = "contains_any_case"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        connection.ensure_connection()
        connection.connection.create_function("casefold", 1, _casefold, deterministic=True)
        column, parameters = self.process_lhs(compiler, connection)
        return f"instr(casefold({column}), %s) > 0", [*parameters, str(self.rhs).casefold()]


def _casefold(text: str | None) -> str | None:
    return None if text is None else str(text).casefold()
