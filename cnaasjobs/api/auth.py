"""Who may call: bearer tokens of Django's users, hashed at rest (knox), and Django's own permissions.

Where ``CNAASJOBS_REQUIRE_TOKEN`` is false (development, loopback only) tokens are ignored, because existing clients
always send one: everybody is the operator "dev". There ``cnaasjobs.api.middleware`` keeps foreign pages out.
"""

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser, User
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from cnaasjobs.api import throttle
from cnaasjobs.api.caller import neighbourhood, origin, refused
from cnaasjobs.api.errors import TooManyRequests
from cnaasjobs.api.permissions import remember
from cnaasjobs.conf import conf
from cnaasjobs.db.accounts import Owner, owner_of_token

if TYPE_CHECKING:  # DRF's views import what its settings name, including this module
    from rest_framework.views import APIView

DEV_USERNAME = "dev"


class DevUser(AnonymousUser):
    """The operator of a development server: has a name and every permission, but no row in the database."""

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
    """``Authorization: Bearer <token>``, looked up by its hash: one query for the token, its user and their
    permissions.

    knox's own look-up reads all tokens of the user on each request, to delete expired ones.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        return self.authenticate_always(request) if conf.require_token else (DevUser(), None)

    def authenticate_always(self, request: Request) -> tuple[Any, Any] | None:
        address = origin(request)
        self._place = neighbourhood(address)
        try:
            found: tuple[Any, Any] | None = super().authenticate(request)
        except AuthenticationFailed:
            throttle.failed("token", throttle.TOKENS, "token", self._place, address=address)
            raise
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, str]:
        """The user and the token's hash."""
        try:
            text = token.decode()
        except UnicodeDecodeError as exc:
            raise AuthenticationFailed("Invalid token") from exc
        digest = hash_token(text)
        if not throttle.has_worked(digest) and throttle.exhausted(throttle.TOKENS, "token", self._place):
            words = "Too many wrong tokens from here, try again in a minute"
            raise TooManyRequests(words, headers={"Retry-After": "60"})
        try:
            owner = self.owner_of(text)
            if not owner.user.is_active:
                raise AuthenticationFailed("The token's user is not active")
        except AuthenticationFailed:
            throttle.note(digest, works=False)
            raise
        throttle.note(digest, works=True)
        remember(owner.user, owner.granted)
        return owner.user, digest

    def owner_of(self, token: str) -> Owner:
        """Raises AuthenticationFailed, whose text says why."""
        owner = owner_of_token(hash_token(token))
        if owner is None:
            raise AuthenticationFailed("Invalid token")
        if not owner.beside:
            raise AuthenticationFailed("Token expired")
        return owner


class HasPermission(BasePermission):
    """Requires the permission that the view names for this method, such as ``jobs.view_job``.

    A method without one goes on to its 405; ``ApiViewSet`` makes sure that every handler has one.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not request.user.is_authenticated:
            return False
        method = "GET" if request.method == "HEAD" else request.method  # HEAD is answered by the handler of GET
        wanted: str | tuple[str, ...] | None = view.permissions_required.get(method)  # type: ignore[attr-defined]
        if wanted is None:
            return True
        names = (wanted,) if isinstance(wanted, str) else wanted
        self.message = f"Missing permission {names[0]}"
        if any(map(request.user.has_perm, names)):
            return True
        if method not in SAFE_METHODS:
            refused.send(sender=type(view), request=request, permission=names[0])
        return False
