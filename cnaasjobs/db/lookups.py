"""``column__contains_any_case``: a literal piece of text in any case, the same on every database.

Django's ``icontains`` does not fold case beyond ASCII where the database does not: SQLite always, PostgreSQL with the C
locale. There another expression is used, but only for such a text, so that others stay as fast as before.
"""

from functools import cache
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, TextField
from django.db.models.functions import Collate
from django.db.models.lookups import IContains
from django.db.models.sql.compiler import SQLCompiler

ICU = "und-x-icu"


@CharField.register_lookup
@TextField.register_lookup
class ContainsAnyCase(IContains):
    lookup_name = "contains_any_case"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        return IContains(self.lhs, self.rhs).as_sql(compiler, connection)  # backends know it only under that name

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        if str(self.rhs).isascii() or not _has_icu(connection.alias):
            return self.as_sql(compiler, connection)
        return IContains(Collate(self.lhs, ICU), str(self.rhs).upper()).as_sql(compiler, connection)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        if str(self.rhs).isascii():
            return self.as_sql(compiler, connection)
        connection.ensure_connection()
        connection.connection.create_function("casefold", 1, _casefold, deterministic=True)
        column, parameters = self.process_lhs(compiler, connection)
        return f"instr(casefold({column}), %s) > 0", [*parameters, str(self.rhs).casefold()]


@cache
def _has_icu(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_collation WHERE collname = %s)", [ICU])
        return bool(cursor.fetchone()[0])


def _casefold(text: str | None) -> str | None:
    return None if text is None else str(text).casefold()
