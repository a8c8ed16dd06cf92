"""The number of a row's last change, written only by the database: what the change feed reads.

On PostgreSQL it is the number of the transaction that wrote the row: the column's default when the row is inserted;
after that a trigger writes it, unless the UPDATE did itself (``WITH_NUMBER``), as those that run often do. The trigger
fires after the row was written, and only for a row without its number: one that fires before costs each UPDATE 8 µs,
and locks the row in the log, whether it has something to do or not. On SQLite, which has one writer at a time, it is a
counter in one row. The triggers of PostgreSQL are made by migrations. Those of SQLite are made again after each
``migrate``: to change a column, Django recreates the table, and its triggers silently disappear.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.apps.config import AppConfig
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Func, Model, Value
from django.db.models.sql.compiler import SQLCompiler

COUNTER: Final = "change_counter"
_COUNTER: Final = f"""
    CREATE TABLE IF NOT EXISTS {COUNTER} (
        id integer PRIMARY KEY CHECK (id = 1), value bigint NOT NULL, feed text NOT NULL DEFAULT (hex(randomblob(8)))
    )
"""
_COUNT: Final = f"INSERT INTO {COUNTER} (id, value) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET value = value + 1"
_BEGIN: Final = f"INSERT INTO {COUNTER} (id, value) VALUES (1, 0) ON CONFLICT (id) DO NOTHING"
WITH_NUMBER: Final = "change = txid_current()"  # for the SET of a hand-written UPDATE, on PostgreSQL
# Each table has its own, so that its statement is planned once for each connection. It finds the table whatever the
# caller's search_path is.
_FUNCTION: Final = f"""
    CREATE OR REPLACE FUNCTION {{table}}_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        UPDATE {{table}} SET {WITH_NUMBER} WHERE id = NEW.id;
        RETURN NULL;
    END $$
"""
_TRIGGER: Final = """
    CREATE TRIGGER {table}_change AFTER UPDATE ON {table} FOR EACH ROW
    WHEN (NEW.change <> txid_current()) EXECUTE FUNCTION {table}_change()
"""

# The tables with a column of this name. To describe a table of SQLite, Django parses its SQL, which takes longer than
# all else that a process asks of its database when it starts.
_TABLES: Final = {
    "postgresql": """
        SELECT relname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE attname = 'change' AND NOT attisdropped AND relkind IN ('r', 'p') AND pg_table_is_visible(pg_class.oid)
    """,
    "sqlite": """
        SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
        WHERE m.type = 'table' AND c.name = 'change'
    """,
}


class TransactionNumber(Func):
    """The number of the writing transaction. Savepoints share it."""

    function = "txid_current"
    output_field = models.BigIntegerField()

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        return "0", ()  # a trigger writes it


class ChangeField(models.BigIntegerField):  # type: ignore[type-arg]  # the stubs know no subscript at run time
    """``change = ChangeField()``. Django leaves it out of every INSERT and UPDATE; a migration sees a plain column."""

    generated = True
    expression = Value(0)  # Django requires it of generated fields, to check constraints that name them

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"editable": False, "db_default": TransactionNumber(), **options})

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.BigIntegerField", args, kwargs


def number_changes(table: str, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the table's trigger. For migrations: after the column was added, and again when the trigger has changed."""
    if schema_editor.connection.vendor == "postgresql":
        stop_numbering(table, schema_editor)
        schema_editor.execute(_FUNCTION.format(table=table))
        schema_editor.execute(_TRIGGER.format(table=table))


def stop_numbering(table: str, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_change ON {table}")


def after_migrate(sender: AppConfig, using: str, **_: Any) -> None:
    """A receiver of Django's ``post_migrate``."""
    from django.db import connections

    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute(_COUNTER)
        cursor.execute(_BEGIN)
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        there = dict(cursor.fetchall())
        for model in _numbered(connection, sender):
            for name, trigger in _triggers(model).items():
                if there.get(name) != trigger:
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                    cursor.execute(trigger)


def without_triggers(connection: BaseDatabaseWrapper) -> Iterator[str]:
    """Tables whose changes are not numbered. Raises a database error if it is away."""
    models = _numbered(connection)
    if not models:
        return
    on_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            if on_sqlite
            else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
        )
        there = {name for (name,) in cursor.fetchall()}
    for model in models:
        table = model._meta.db_table
        wanted = _triggers(model).keys() if on_sqlite else {f"{table}_change"}
        if not wanted <= there:
            yield table


def _numbered(connection: BaseDatabaseWrapper, app: AppConfig | None = None) -> list[type[Model]]:
    """The models with a change number whose tables have one: a database may be migrated back, or not at all yet."""
    from django.apps import apps

    with connection.cursor() as cursor:
        cursor.execute(_TABLES[connection.vendor])
        there = {name for (name,) in cursor.fetchall()}
    return [
        model
        for model in (app or apps).get_models()
        if model._meta.db_table in there
        and any(isinstance(field, ChangeField) for field in model._meta.concrete_fields)
    ]


def _triggers(model: type[Model]) -> Mapping[str, str]:
    """SQLite's, by name. Theirs is an UPDATE of ``change`` alone, which the second does not listen to."""
    table = model._meta.db_table
    columns = ", ".join(
        str(field.column) for field in model._meta.concrete_fields if not isinstance(field, ChangeField)
    )
    body = f"""FOR EACH ROW BEGIN
        {_COUNT};
        UPDATE {table} SET change = (SELECT value FROM {COUNTER}) WHERE rowid = NEW.rowid;
    END"""
    return {
        f"{table}_change_inserted": f"CREATE TRIGGER {table}_change_inserted AFTER INSERT ON {table} {body}",
        f"{table}_change_updated": f"CREATE TRIGGER {table}_change_updated AFTER UPDATE OF {columns} ON {table} {body}",
    }
