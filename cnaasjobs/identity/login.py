"""The credentials that ``/auth`` takes: a name and a password, or a JWT of our own."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import PermissionDenied
from rest_framework.authentication import BasicAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from cnaasjobs.api.errors import TooManyRequests
from cnaasjobs.api.permissions import OneQueryBackend
from cnaasjobs.db.accounts import Owner
from cnaasjobs.identity import own
from cnaasjobs.identity.bearer import AnyBearer
from cnaasjobs.identity.verification import Claims, Refused


class Password(BasicAuthentication):
    """HTTP Basic, with the same limits on wrong logins as the sign-in page. It is checked in development too."""

    def authenticate_credentials(self, userid: str, password: str, request: Any = None) -> tuple[User, None]:
        try:
            user = OneQueryBackend().authenticate(request, username=userid, password=password)
        except PermissionDenied as exc:
            raise TooManyRequests(f"Not now: {exc}, try again in a minute", headers={"Retry-After": "60"}) from exc
        if user is None:
            user_login_failed.send(sender=type(self), credentials={"username": userid}, request=request)
            raise AuthenticationFailed("Wrong name or password")
        user_logged_in.send(sender=get_user_model(), request=request, user=user)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Not "Basic": a browser would show its own password prompt on top of the front end's."""
        return 'xBasic realm="cnaasjobs"'


class OwnJwt(AnyBearer):
    """A JWT of our own and nothing else, in development too. ``request.auth`` holds its claims and its owner."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = self.authenticate_always(request)
        return found and (found[0], (self._claims, self._owner))

    def owner_of(self, token: str) -> Owner:
        self._claims, self._owner = self._looked_up(token)
        return self._owner

    def _looked_up(self, token: str) -> tuple[Claims, Owner]:
        try:
            if not own.is_ours(token):
                raise Refused("Only a token of POST /auth can be refreshed")
            claims = own.claims_of(token)
            return claims, own.owner_of(claims)
        except Refused as exc:
            raise AuthenticationFailed(str(exc)) from exc
