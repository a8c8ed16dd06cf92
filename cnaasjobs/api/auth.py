"""Who may call: bearer tokens of Django's users, hashed at rest (knox), and Django's own permissions.

Where ``CNAASJOBS_REQUIRE_TOKEN`` is false (development, loopback only) tokens are not looked at, because existing
clients always send one: everybody is the operator "dev". ``cnaasjobs.api.middleware`` keeps foreign pages out there.
"""

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import DEFAULT_DB_ALIAS, connection
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from cnaasjobs.api.permissions import granted_as_json, remember
from cnaasjobs.db.prepared import Prepared

if TYPE_CHECKING:  # DRF's views import what its settings name, which is this module
    from rest_framework.views import APIView

DEV_USERNAME = "dev"

_USER_FIELDS = ("id", "is_superuser", "username", "is_active")  # in the order of the model, as from_db takes them


@cache
def _user_of_token(vendor: str) -> Prepared:
    """PostgreSQL plans it for longer than it executes it."""
    person = ", ".join(f"person.{name}" for name in _USER_FIELDS)
    sql = f"""
        SELECT token.expiry IS NULL OR token.expiry >= %(now)s, {granted_as_json("person.id", vendor)}, {person}
        FROM {AuthToken._meta.db_table} AS token JOIN {User._meta.db_table} AS person ON person.id = token.user_id
        WHERE token.digest = %(digest)s
    """
    return Prepared("token", sql, {"now": "timestamptz", "digest": "text"})


class DevUser(AnonymousUser):
    """The operator of a development server: has a name and every permission, and no row in the database."""

    username = DEV_USERNAME  # type: ignore[assignment]  # the stubs say AnonymousUser has no name

    @property
    def is_authenticated(self) -> Any:
        return True

    @property
    def is_anonymous(self) -> Any:
        return False

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return True


class BearerAuthentication(TokenAuthentication):
    """``Authorization: Bearer <token>``, looked up by its hash: one query for it, its user and what that may do.

    knox's own look-up reads all tokens of the user on each request, to delete those that expired. By hand, because
    every request comes here, and building the query cost more than all that a page of jobs asks the database.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if not settings.CNAASJOBS_REQUIRE_TOKEN:
            return DevUser(), None
        found: tuple[Any, Any] | None = super().authenticate(request)
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, str]:
        """The user, with what a request asks of it (the rest is read on first use), and the token's hash."""
        try:
            digest = hash_token(token.decode())
        except UnicodeDecodeError as exc:
            raise AuthenticationFailed("Invalid token") from exc
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        with connection.cursor() as cursor:
            _user_of_token(connection.vendor).execute(cursor, {"now": now, "digest": digest})
            row = cursor.fetchone()
        if row is None:
            raise AuthenticationFailed("Invalid token")
        is_valid, permissions, *values = row
        if not is_valid:
            raise AuthenticationFailed("Token expired")
        user = User.from_db(DEFAULT_DB_ALIAS, _USER_FIELDS, values)
        if not user.is_active:
            raise AuthenticationFailed("The token's user is not active")
        remember(user, json.loads(permissions) if isinstance(permissions, str) else permissions or ())
        return user, digest


class HasPermission(BasePermission):
    """Asks for the permission that the view names for this method, such as ``jobs.view_job``.

    A method without one goes on to its 405; ``ApiViewSet`` sees to it that no handler is without one.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not request.user.is_authenticated:
            return False
        method = "GET" if request.method == "HEAD" else request.method  # a HEAD is answered by the GET's handler
        wanted: str | None = view.permissions_required.get(method)  # type: ignore[attr-defined]
        self.message = f"Missing permission {wanted}"
        return wanted is None or request.user.has_perm(wanted)
