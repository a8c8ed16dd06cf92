"""Who may listen, and to what: the credentials and permissions of the API, checked at connect and every 60 s."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from importlib import import_module
from io import BytesIO
from typing import Any, Final

from django.conf import settings
from django.contrib import auth
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.request import Request
from starlette.datastructures import Headers

from cnaasjobs.api.auth import DevUser
from cnaasjobs.api.middleware import foreign_page, foreign_peer
from cnaasjobs.conf import conf
from cnaasjobs.identity.bearer import PromptBearer, keys_coming
from cnaasjobs.live.database import Database
from jobs.feed import Kind

AGAIN_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05

_PERMISSIONS: Final = {Kind.JOB: "jobs.view_job", Kind.LOG: "jobs.view_job", Kind.LOCK: "locks.view_lock"}


class NotAdmitted(Exception):
    """The text is for the client, with the status and the headers that the API would answer."""

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


async def admitted(database: Database, scope: Any, *, token: str | None = None) -> frozenset[Kind]:
    """What ``admit`` says. The identity provider's keys are waited for here: the one thread that asks the database must
    go on reading the feed.
    """
    given = token if token is not None else _bearer_of(scope)
    if conf.require_token and (coming := keys_coming(given)):
        while not coming.is_over:
            await asyncio.sleep(_LOOK_SECONDS)
    return await database.ask(admit, scope, token=token)


def _bearer_of(scope: Any) -> str:
    """The request's token, found as the API finds it."""
    words = Headers(scope=scope).get("authorization", "").split()
    return words[1] if len(words) == 2 and words[0].lower() == "bearer" else ""


def admit(scope: Any, *, token: str | None = None) -> frozenset[Kind]:
    """What this connection may be told. Asks the database.

    Args:
        scope: ASGI's, of the request that opened the connection.
        token: if it is not in the Authorization header. A session cookie does not count then.

    Raises:
        NotAdmitted: it may be told nothing.
    """
    request = ASGIRequest({**scope, "type": "http", "method": "GET"}, BytesIO())
    try:
        request.get_host()
        user = _user(request, token)
    except DisallowedHost as exc:
        raise NotAdmitted(HTTPStatus.BAD_REQUEST, "This host name is not served here (ALLOWED_HOSTS)") from exc
    except APIException as exc:
        challenge = {"WWW-Authenticate": "Bearer"} if exc.status_code == HTTPStatus.UNAUTHORIZED else {}
        headers = {**challenge, **getattr(exc, "headers", {})}
        raise NotAdmitted(exc.status_code, str(exc.detail), headers=headers) from exc
    kinds = frozenset(kind for kind, permission in _PERMISSIONS.items() if user.has_perm(permission))
    if not kinds:
        raise NotAdmitted(HTTPStatus.FORBIDDEN, "Missing permission jobs.view_job")
    return kinds


def _user(request: ASGIRequest, token: str | None) -> Any:
    if not conf.require_token:
        if refused := foreign_peer(request) or foreign_page(request):
            raise NotAdmitted(HTTPStatus.FORBIDDEN, refused)
        return DevUser()
    if token is not None:
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    if found := PromptBearer().authenticate(Request(request)):
        return found[0]
    user = _user_of_session(request) if token is None else None
    if user is None or not user.is_authenticated:
        raise NotAuthenticated
    return user


def _user_of_session(request: ASGIRequest) -> Any:
    """The user of a console session. Only the console's own pages may use it: any other origin needs a token."""
    if _is_of_another_origin(request):
        return None
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return auth.get_user(request)


def _is_of_another_origin(request: ASGIRequest) -> bool:
    """SameSite keeps the cookie from other sites, but another port or name of this site may be anybody's. Browsers say
    ``Origin`` to every other origin, and ``Sec-Fetch-Site`` where the connection is safe.
    """
    page = request.headers.get("Origin")
    if page is not None and page.lower().partition("://")[2] != request.META.get("HTTP_HOST", "").lower():
        return True
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
