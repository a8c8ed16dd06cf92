"""Users by credential, and their permissions.

The SQL is written by hand: every request needs these, and building a query costs more.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, Self

from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
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
_ALL_FIELDS: Final = tuple(field.attname for field in User._meta.concrete_fields)
_SESSION: Final = Session._meta.db_table
_OF_USER: Final = User.user_permissions.through._meta.db_table
_GROUPS: Final = User.groups.through._meta.db_table
_OF_GROUP: Final = Group.permissions.through._meta.db_table
# Appended to each permission that was granted by a group with a scope; no permission's name ends like this.
_LIMITED: Final = "?"
_NAME: Final = f"kind.app_label || '.' || permission.codename || CASE WHEN held.limited THEN '{_LIMITED}' ELSE '' END"
_PERSON: Final = f"{User._meta.db_table} AS person"
_COLLECT: Final = {"postgresql": "json_agg", "sqlite": "json_group_array"}
_scopes: str | None = None  # the table whose group_id names the groups that have a scope


def scopes_are_in(table: str) -> None:
    """Called once, before the first request, by the app that limits what a group's permissions are good for."""
    global _scopes
    _scopes = table


class Granted(NamedTuple):
    """What a user may do, by their own permissions and their groups', such as "jobs.view_job"."""

    permissions: frozenset[str]
    limited: frozenset[str]  # those that are granted only by groups with a scope
    groups: frozenset[int] | None = None  # count only these groups, in place of the user's own in the database

    @classmethod
    def parsed(cls, names: Iterable[str], groups: frozenset[int] | None = None) -> Self:
        found = frozenset(names)
        limited = {name.removesuffix(_LIMITED) for name in found if name.endswith(_LIMITED)}
        whole = {name for name in found if not name.endswith(_LIMITED)}
        return cls(frozenset(whole | limited), frozenset(limited - whole), groups)


class Owner(NamedTuple):
    """The user whose credential it is, with the fields that a request needs (the rest is read on first use)."""

    user: User
    granted: Granted
    beside: Any  # whatever else this kind of credential needs


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


def owner_with_id(user_id: int) -> Owner | None:
    """The whole user and their permissions, in one statement."""
    return _owner(_with_id(connection.vendor), {"id": user_id}, _ALL_FIELDS)


def session_data(key: str) -> str | None:
    """What Django keeps in the session with this key; None: there is none, or it has ended."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        _SESSION_DATA.execute(cursor, {"key": key, "now": now})
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def _owner(statement: Prepared, parameters: Mapping[str, Any], fields: Sequence[str] = _USER_FIELDS) -> Owner | None:
    with connection.cursor() as cursor:
        statement.execute(cursor, parameters)
        row = cursor.fetchone()
    if row is None:
        return None
    beside, permissions, *values = row
    return Owner(User.from_db(DEFAULT_DB_ALIAS, fields, values), Granted.parsed(listed(permissions)), beside)


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


@cache
def _with_id(vendor: str) -> Prepared:
    return _statement("person", vendor, "NULL", _PERSON, "person.id = %(id)s", {"id": "bigint"}, _ALL_FIELDS)


_SESSION_DATA: Final = Prepared(
    "session",
    f"SELECT session_data FROM {_SESSION} WHERE session_key = %(key)s AND expire_date > %(now)s",
    {"key": "text", "now": "timestamptz"},
)


def _statement(
    name: str,
    vendor: str,
    beside: str,
    source: str,
    which: str,
    types: Mapping[str, str],
    fields: Sequence[str] = _USER_FIELDS,
) -> Prepared:
    """Prepared, because PostgreSQL takes longer to plan it than to execute it."""
    person = ", ".join(f"person.{field}" for field in fields)
    sql = f"""
        SELECT {beside}, (SELECT {_COLLECT[vendor]}({_NAME}) {_granted("person.id")}), {person}
        FROM {source} WHERE {which}
    """
    return Prepared(name, sql, types)


def _granted(user: str, groups: str | None = None) -> str:
    """SQL for a user's permissions. ``groups``: SQL that takes the place of the groups that the database has."""
    limited = f"EXISTS (SELECT 1 FROM {_scopes} AS scope WHERE scope.group_id = granted.group_id)"
    return f"""
        FROM (
            SELECT permission_id, FALSE AS limited FROM {_OF_USER} WHERE user_id = {user}
            UNION ALL
            SELECT granted.permission_id, {limited if _scopes else "FALSE"} FROM {_OF_GROUP} AS granted
            WHERE granted.group_id IN ({groups or f"SELECT group_id FROM {_GROUPS} WHERE user_id = {user}"})
        ) AS held
        JOIN {Permission._meta.db_table} AS permission ON permission.id = held.permission_id
        JOIN {ContentType._meta.db_table} AS kind ON kind.id = permission.content_type_id
    """


def granted_to(user_id: int, groups: Collection[int] | None = None) -> Granted:
    """The permissions of the user and their groups in one statement; Django's own backend needs two.

    Args:
        groups: the ids to count in place of the user's groups in the database.
    """
    if groups is None:
        statement, parameters = _granted("%s"), [user_id, user_id]
    else:
        marks = ", ".join(["%s"] * len(groups)) or "NULL"
        statement, parameters = _granted("%s", marks), [user_id, *groups]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_NAME} {statement}", parameters)
        names = [name for (name,) in cursor.fetchall()]
    return Granted.parsed(names, None if groups is None else frozenset(groups))
