"""``/auth``: logging in with a name and a password, for front ends that keep a JWT. Off unless a setting says so."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.description import TEXT, Described, exactly
from cnaasjobs.api.envelope import success
from cnaasjobs.api.errors import NotFound
from cnaasjobs.api.views import ApiViewSet
from cnaasjobs.conf import conf
from cnaasjobs.identity import own
from cnaasjobs.identity.login import OwnJwt, Password
from cnaasjobs.identity.verification import Refused

_JWT: Final = exactly({"access_token": TEXT})


class _WhereOn(ApiViewSet):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not conf.jwt_login:
            raise NotFound("Logging in over the API is off (CNAASJOBS_JWT_LOGIN)")
        super().initial(request, *args, **kwargs)


class Login(_WhereOn):
    """``POST /auth`` with HTTP Basic. ``access_token`` is at the top level, where the existing front end reads it."""

    authentication_classes = (Password,)
    permissions_required: ClassVar[Mapping[str, str | None]] = {"POST": None}
    described: ClassVar[Mapping[str, Described]] = {
        "create": Described(
            summary="A JWT for a name and a password", answer=_JWT, beside={"access_token": TEXT}, scheme="basic"
        )
    }

    def create(self, request: Request) -> Response:
        user: Any = request.user
        text = own.issued_to(user.get_username(), user.password)
        return success({"access_token": text}, access_token=text)


class Refresh(_WhereOn):
    """``POST /auth/refresh`` with a JWT from ``POST /auth``."""

    authentication_classes = (OwnJwt,)
    permissions_required: ClassVar[Mapping[str, str | None]] = {"POST": None}
    described: ClassVar[Mapping[str, Described]] = {
        "create": Described(summary="A new JWT in place of one that has not expired", answer=_JWT)
    }

    def create(self, request: Request) -> Response:
        claims, owner = request.auth  # type: ignore[misc]  # the stubs know DRF's own tokens alone
        try:
            return success({"access_token": own.refreshed(claims, owner)})
        except Refused as exc:
            raise AuthenticationFailed(str(exc)) from exc


class Identity(_WhereOn):
    """``GET /auth/identity``: a string without an envelope, as the existing front end expects it."""

    permissions_required: ClassVar[Mapping[str, str | None]] = {"GET": None}
    described: ClassVar[Mapping[str, Described]] = {
        "retrieve": Described(summary="The user's name", answer=TEXT, bare=True)
    }

    def retrieve(self, request: Request) -> Response:
        return Response(request.user.get_username())
