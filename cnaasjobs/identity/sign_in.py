"""Sign-in by a browser at the identity provider (OpenID Connect, code flow with PKCE), if the settings turn it on.

mozilla-django-oidc keeps state, nonce and verifier in the session. Whether an ID token is good, and which user it
stands for, is decided by the same code as for JWTs. Nothing else that the provider sends is used.
"""

import base64
import json
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.crypto import constant_time_compare
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from cnaasjobs.api import throttle
from cnaasjobs.api.caller import neighbourhood, origin
from cnaasjobs.conf import conf
from cnaasjobs.events import record
from cnaasjobs.identity import people, provider
from cnaasjobs.identity.actions import IdentityAction
from cnaasjobs.identity.fetching import fetched
from cnaasjobs.identity.key_sources import KeysAway
from cnaasjobs.identity.verification import Claims, Refused

FAILED: Final = "provider_failed"  # in the sign-in page's query


def is_on() -> bool:
    return bool(conf.oidc_client_id)


def _setting(name: str, *default: Any) -> Any:
    """What mozilla-django-oidc asks Django's settings for."""
    ours = {
        "OIDC_RP_CLIENT_ID": conf.oidc_client_id,
        "OIDC_RP_CLIENT_SECRET": conf.oidc_client_secret,
        "OIDC_RP_SCOPES": conf.oidc_scopes,
        "OIDC_OP_AUTHORIZATION_ENDPOINT": conf.oidc_authorization_url,
        "OIDC_OP_TOKEN_ENDPOINT": conf.oidc_token_url,
        "OIDC_OP_USER_ENDPOINT": None,  # not asked
        "OIDC_AUTHENTICATION_CALLBACK_URL": "console:provider_back",
        "OIDC_USE_PKCE": True,
    }
    return ours[name] if name in ours else getattr(settings, name, *default)


class ProviderBackend(OIDCAuthenticationBackend):
    """Logs in a person who comes back from the provider. It is in AUTHENTICATION_BACKENDS if sign-in is on."""

    get_settings = staticmethod(_setting)

    def authenticate(self, request: Any, **credentials: Any) -> Any:
        if "nonce" not in credentials:  # the sign-in page's form: a code in its URL is somebody else's
            return None
        try:
            return super().authenticate(request, **credentials)
        except (Refused, KeysAway, OSError, ValueError, HTTPException) as exc:
            record(IdentityAction.SIGN_IN_FAILED, error=str(exc) or type(exc).__name__)
            return None

    def get_token(self, payload: dict[str, Any]) -> dict[str, Any]:
        name, secret = quote(payload["client_id"], safe=""), quote(payload.pop("client_secret"), safe="")
        basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        found = json.loads(fetched(conf.oidc_token_url, form=urlencode(payload).encode(), headers=headers))
        if not isinstance(found, dict) or not isinstance(found.get("id_token"), str):
            raise ValueError("the provider's answer has no ID token")
        return found

    def verify_token(self, token: str, **expected: Any) -> Claims:
        claims = provider.claims_of(token, audience=conf.oidc_client_id)
        if claims.get("azp", conf.oidc_client_id) != conf.oidc_client_id:
            raise Refused("the ID token was made for another client")
        if not constant_time_compare(str(claims.get("nonce")), expected["nonce"]):
            raise Refused("the ID token was made for another sign-in")
        return claims

    def store_tokens(self, access_token: Any, id_token: Any) -> None:
        """The provider's tokens are not kept."""

    def get_or_create_user(self, access_token: Any, id_token: Any, payload: Claims) -> User:
        found = people.owner_of(provider.person_of(payload), self.request).user
        return User.objects.get(pk=found.pk)  # the library lets nobody in who is not active

    def get_user(self, user_id: Any) -> Any:
        return ModelBackend().get_user(user_id)  # which refuses deactivated users

    # The other backend answers for permissions.

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return False

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        return False

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()


class ProviderSignIn(OIDCAuthenticationRequestView):
    """Sends the browser to the provider."""

    get_settings = staticmethod(_setting)

    def get(self, request: HttpRequest) -> Any:
        if not is_on():
            raise Http404
        place = neighbourhood(origin(request))
        if throttle.exhausted(throttle.SIGN_INS, "sign-in", place):
            return _failed()
        throttle.count(throttle.SIGN_INS, "sign-in", place)
        return super().get(request)


class Callback(OIDCAuthenticationCallbackView):
    """Where the provider sends the browser back to."""

    get_settings = staticmethod(_setting)

    def get(self, request: HttpRequest) -> Any:
        """A sign-in that this browser did not begin, or has already finished, does nothing: any page may link here."""
        if not is_on():
            raise Http404
        if "code" not in request.GET or request.GET.get("state") not in request.session.get("oidc_states", {}):
            return _failed()
        return super().get(request)

    def login_success(self) -> Any:
        response = super().login_success()
        self.request.session.set_expiry(int(conf.oidc_hours * 3600))
        return response

    def login_failure(self) -> Any:
        return _failed()


def _failed() -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{resolve_url(settings.LOGIN_URL)}?{FAILED}")
