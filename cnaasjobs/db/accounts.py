"""Users by credential, and their permissions. By hand: every request needs these, and building a query costs more."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

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
_PERSON: Final = f"{User._meta.db_table} AS person"
_COLLECT: Final = {"postgresql": "json_agg", "sqlite": "json_group_array"}
_PERMISSIONS: Final = f"SELECT {_NAME} {_GRANTED.format(user='%s')}"


class Owner(NamedTuple):
    """Whose credential it is, with the fields of the user that a request needs (the rest is read on first use)."""

    user: User
    permissions: list[str]  # of the user and the user's groups, such as "jobs.view_job"
    beside: Any  # what else the credential's kind asks for


def owner_of_token(digest: str) -> Owner | None:
    """The token with this hash, its user and their permissions, in one statement; ``beside``: it has not ended."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return _owner(_of_token(connection.vendor), {"now": now, "digest": digest})


def owner_named(name: str) -> Owner | None:
    """The user of this name and their permissions, in one statement; ``beside``: the hash of the password."""
    return _owner(_named(connection.vendor), {"name": name})


def owner_of_identity(table: str, issuer: str, subject: str) -> Owner | None:
    """The user of this identity and their permissions, in one statement.

    ``beside``: the names of their groups, as JSON.

    Args:
        table: with the columns ``issuer``, ``subject`` and ``user_id``.
    """
    return _owner(_of_identity(connection.vendor, table), {"issuer": issuer, "subject": subject})


def _owner(statement: Prepared, parameters: Mapping[str, Any]) -> Owner | None:
    with connection.cursor() as cursor:
        statement.execute(cursor, parameters)
        row = cursor.fetchone()
    if row is None:
        return None
    beside, permissions, *values = row
    return Owner(User.from_db(DEFAULT_DB_ALIAS, _USER_FIELDS, values), listed(permissions), beside)


def listed(names: Any) -> list[str]:
    """A list of names as the database gives it."""
    return json.loads(names) if isinstance(names, str) else names or []


@cache
def _of_token(vendor: str) -> Prepared:
    source = f"{AuthToken._meta.db_table} AS token JOIN {_PERSON} ON person.id = token.user_id"
    is_good = "token.expiry IS NULL OR token.expiry >= %(now)s"
    types = {"now": "timestamptz", "digest": "text"}
    return _statement("token", vendor, is_good, source, "token.digest = %(digest)s", types)


@cache
def _named(vendor: str) -> Prepared:
    return _statement("login", vendor, "person.password", _PERSON, "person.username = %(name)s", {"name": "text"})


@cache
def _of_identity(vendor: str, table: str) -> Prepared:
    source = f"{table} AS identity JOIN {_PERSON} ON person.id = identity.user_id"
    groups = f"""
        (SELECT {_COLLECT[vendor]}(held.name) FROM {Group._meta.db_table} AS held
        JOIN {_GROUPS} AS member ON member.group_id = held.id WHERE member.user_id = person.id)
    """
    which = "identity.issuer = %(issuer)s AND identity.subject = %(subject)s"
    return _statement("identity", vendor, groups, source, which, {"issuer": "text", "subject": "text"})


def _statement(name: str, vendor: str, beside: str, source: str, which: str, types: Mapping[str, str]) -> Prepared:
    """PostgreSQL takes longer to plan it than to execute it."""
    person = ", ".join(f"person.{field}" for field in _USER_FIELDS)
    sql = f"""
        SELECT {beside}, (SELECT {_COLLECT[vendor]}({_NAME}) {_GRANTED.format(user="person.id")}), {person}
        FROM {source} WHERE {which}
    """
    return Prepared(name, sql, types)


def permissions_of(user_id: int) -> list[str]:
    """The permissions of the user and their groups in one statement; Django's own backend needs two."""
    with connection.cursor() as cursor:
        cursor.execute(_PERMISSIONS, [user_id, user_id])
        return [name for (name,) in cursor.fetchall()]
