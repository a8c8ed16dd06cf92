"""``Authorization: Bearer``: an API token, a JWT of the identity provider, or a JWT of our own."""

from typing import Any, ClassVar

from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from cnaasjobs.api.auth import BearerAuthentication
from cnaasjobs.api.errors import Unavailable
from cnaasjobs.db.accounts import Owner
from cnaasjobs.identity import own, people, provider
from cnaasjobs.identity.key_sources import Coming, KeysAway
from cnaasjobs.identity.verification import Refused, is_jwt


class AnyBearer(BearerAuthentication):
    """DRF's authentication class, named in the settings."""

    may_wait: ClassVar = True  # for keys that the identity provider has to be asked for

    def authenticate_always(self, request: Request) -> tuple[Any, Any] | None:
        self._request = request._request
        return super().authenticate_always(request)

    def owner_of(self, token: str) -> Owner:
        if not is_jwt(token):
            return super().owner_of(token)
        try:
            return self.owner_of_jwt(token)
        except Refused as exc:
            raise AuthenticationFailed(str(exc)) from exc
        except KeysAway as exc:
            words = "The identity provider's keys can't be read now, so this token can't be checked"
            raise Unavailable(words, headers={"Retry-After": "10"}) from exc

    def owner_of_jwt(self, text: str) -> Owner:
        """Raises Refused and KeysAway."""
        if own.is_ours(text):
            return own.owner_of(own.claims_of(text))
        if not provider.is_accepted():
            raise Refused("Invalid token")
        claims = provider.claims_of(text, may_wait=self.may_wait)
        return people.owner_of(provider.person_of(claims), self._request)


class PromptBearer(AnyBearer):
    """Never waits for the identity provider: callers wait for ``keys_coming`` first."""

    may_wait = False


def keys_coming(token: str) -> Coming | None:
    """The keys that ``AnyBearer`` would wait for to check this token, or None. Does not ask the database."""
    if not is_jwt(token) or not provider.is_accepted():
        return None
    try:
        return None if own.is_ours(token) else provider.keys_coming(token)
    except Refused:
        return None
