"""Users by token, and their permissions. Hand-written: every request needs these, and building a query costs more."""

import json
from functools import cache
from typing import Final, NamedTuple

from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, connection
from django.utils import timezone
from knox.models import AuthToken

from cnaasjobs.db.prepared import Prepared

_USER_FIELDS: Final = (
    "id",
    "is_superuser",
    "username",
    "is_active",
)  # in the order of the model, as from_db takes them
_OF_USER: Final = User.user_permissions.through._meta.db_table
_GROUPS: Final = User.groups.through._meta.db_table
_OF_GROUP: Final = Group.permissions.through._meta.db_table
_NAME: Final = "kind.app_label || '.' || permission.codename"
_GRANTED: Final = f"""
    FROM {Permission._meta.db_table} AS permission
    JOIN {ContentType._meta.db_table} AS kind ON kind.id = permission.content_type_id
    WHERE permission.id IN (
        SELECT permission_id FROM {_OF_USER} WHERE user_id = {{user}}
        UNION ALL
        SELECT granted.permission_id FROM {_OF_GROUP} AS granted
        JOIN {_GROUPS} AS member ON member.group_id = granted.group_id WHERE member.user_id = {{user}}
    )
"""
_PERMISSIONS: Final = f"SELECT {_NAME} {_GRANTED.format(user='%s')}"


class TokenOwner(NamedTuple):
    """Whose token it is, with the fields of the user that a request needs (the rest is read on first use)."""

    user: User
    permissions: list[str]  # of the user and the user's groups, such as "jobs.view_job"
    expired: bool


def owner_of_token(digest: str) -> TokenOwner | None:
    """The token with this hash, its user and their permissions, in one statement."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        _owner_of_token(connection.vendor).execute(cursor, {"now": now, "digest": digest})
        row = cursor.fetchone()
    if row is None:
        return None
    is_valid, permissions, *values = row
    return TokenOwner(
        user=User.from_db(DEFAULT_DB_ALIAS, _USER_FIELDS, values),
        permissions=json.loads(permissions) if isinstance(permissions, str) else permissions or [],
        expired=not is_valid,
    )


@cache
def _owner_of_token(vendor: str) -> Prepared:
    """PostgreSQL takes longer to plan it than to execute it."""
    collect = "json_agg" if vendor == "postgresql" else "json_group_array"
    person = ", ".join(f"person.{name}" for name in _USER_FIELDS)
    sql = f"""
        SELECT token.expiry IS NULL OR token.expiry >= %(now)s,
            (SELECT {collect}({_NAME}) {_GRANTED.format(user="person.id")}), {person}
        FROM {AuthToken._meta.db_table} AS token JOIN {User._meta.db_table} AS person ON person.id = token.user_id
        WHERE token.digest = %(digest)s
    """
    return Prepared("token", sql, {"now": "timestamptz", "digest": "text"})


def permissions_of(user_id: int) -> list[str]:
    """The permissions of the user and their groups in one statement; Django's own backend needs two."""
    with connection.cursor() as cursor:
        cursor.execute(_PERMISSIONS, [user_id, user_id])
        return [name for (name,) in cursor.fetchall()]
