"""Empties the database after a test that committed something."""

from typing import Any

from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.models import Role
from jobs.rights import roles

# Made by post_migrate, the same for all tests.
_STAY = ("auth_permission", "django_content_type")
_how_many: dict[str, tuple[int, ...]] = {}  # by the database's name: rows in the tables that stay


def empty_tables(test: Any) -> None:
    """Stands in for Django's ``flush``, which makes content types and permissions anew for longer than a test takes."""
    for alias in test._databases_names(include_mirrors=False):
        empty(connections[alias])


def empty(connection: BaseDatabaseWrapper) -> None:
    """Delete rows where there are any, but for what ``migrate`` makes: permissions, and the groups of the roles."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        others = [name for name in names if name not in _STAY]
        cursor.execute("SELECT " + ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in others))
        for name, has_rows in zip(others, cursor.fetchone(), strict=True):
            if has_rows:
                cursor.execute(f"DELETE FROM {name}")
    if not _is_as_migrated(connection):
        call_command("flush", verbosity=0, interactive=False, database=connection.alias, reset_sequences=False)
    elif Role._meta.db_table in names:
        roles.renew(connection.alias)


def _is_as_migrated(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM {name})" for name in _STAY))
        found = tuple(cursor.fetchone())
    return found == _how_many.setdefault(str(connection.settings_dict["NAME"]), found)
