"""Empties the database after a test that committed something."""

from typing import Any, Final

from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from jobs.models import Role
from jobs.rights import roles

# Made by post_migrate, the same for all tests.
_STAY = ("auth_permission", "django_content_type")
# Made by it too, but a test may change them. In the order in which they can be deleted.
_ROLES: Final = {
    Group.permissions.through._meta.db_table: "group_id, permission_id",
    Role._meta.db_table: "name, group_id, given",
    Group._meta.db_table: "id, name",
}
_how_many: dict[str, tuple[int, ...]] = {}  # by the database's name: rows in the tables that stay
_as_made: dict[str, Any] = {}  # by the database's name: the roles and their groups


def empty_tables(test: Any) -> None:
    """Stands in for Django's ``flush``, which makes content types and permissions anew for longer than a test takes."""
    for alias in test._databases_names(include_mirrors=False):
        empty(connections[alias])


def empty(connection: BaseDatabaseWrapper) -> None:
    """Delete rows where there are any, but for what ``migrate`` makes: permissions, and the groups of the roles."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    has_roles = Role._meta.db_table in names
    stay = (*_STAY, *_ROLES) if has_roles else _STAY
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        others = [name for name in names if name not in stay]
        cursor.execute("SELECT " + ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in others))
        for name, has_rows in zip(others, cursor.fetchone(), strict=True):
            if has_rows:
                cursor.execute(f"DELETE FROM {name}")
    if not _is_as_migrated(connection):
        call_command("flush", verbosity=0, interactive=False, database=connection.alias, reset_sequences=False)
    elif has_roles:
        _make_roles_anew(connection)


def _is_as_migrated(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM {name})" for name in _STAY))
        found = tuple(cursor.fetchone())
    return found == _how_many.setdefault(str(connection.settings_dict["NAME"]), found)


def _make_roles_anew(connection: BaseDatabaseWrapper) -> None:
    """Where they are not as they were made: it takes longer than all the rest."""
    database = str(connection.settings_dict["NAME"])
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if _roles(cursor) != _as_made.get(database):
            for name in _ROLES:
                cursor.execute(f"DELETE FROM {name}")
            roles.renew(connection.alias)
            _as_made[database] = _roles(cursor)


def _roles(cursor: CursorWrapper) -> list[list[tuple[Any, ...]]]:
    found = []
    for name, columns in _ROLES.items():
        cursor.execute(f"SELECT {columns} FROM {name} ORDER BY {columns}")
        found.append(cursor.fetchall())
    return found
