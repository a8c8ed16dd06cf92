"""Django's permissions of users and groups, read in one statement: every request of the API asks for one of them."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection

_OF_USER = User.user_permissions.through._meta.db_table
_GROUPS = User.groups.through._meta.db_table
_OF_GROUP = Group.permissions.through._meta.db_table
_GRANTED = f"""
    FROM {Permission._meta.db_table} AS permission
    JOIN {ContentType._meta.db_table} AS kind ON kind.id = permission.content_type_id
    WHERE permission.id IN (
        SELECT permission_id FROM {_OF_USER} WHERE user_id = {{user}}
        UNION ALL
        SELECT granted.permission_id FROM {_OF_GROUP} AS granted
        JOIN {_GROUPS} AS member ON member.group_id = granted.group_id WHERE member.user_id = {{user}}
    )
"""
_QUERY = f"SELECT kind.app_label || '.' || permission.codename {_GRANTED.format(user='%s')}"


def granted_as_json(user_id: str, vendor: str) -> str:
    """SQL for the permissions of a user, as a JSON list; for a statement that reads the user too."""
    collect = "json_agg" if vendor == "postgresql" else "json_group_array"
    return f"(SELECT {collect}(kind.app_label || '.' || permission.codename) {_GRANTED.format(user=user_id)})"


def remember(user: Any, permissions: Iterable[str]) -> None:
    """They were read with the user already. Django's own name: it lives as long as the user's object."""
    user._perm_cache = set(permissions)


class OneQueryBackend(ModelBackend):
    """Django's own backend, with its two queries for a user's permissions and his groups' in one."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if user_obj.is_superuser:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            with connection.cursor() as cursor:
                cursor.execute(_QUERY, [user_obj.pk, user_obj.pk])
                remember(user_obj, (name for (name,) in cursor.fetchall()))
        found: set[str] = user_obj._perm_cache
        return found
