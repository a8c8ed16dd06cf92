"""The description of the API, and a page on which to read it and try it out. Both are the same for everybody."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.description import Described, document
from cnaasjobs.api.views import ApiViewSet

# Swagger UI comes from this server, and so does the script that starts it. The page may load nothing else,
# and run nothing inline.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class ApiSchema(ApiViewSet):
    """``GET /schema``: OpenAPI 3.1, without an envelope. It needs neither credentials nor the database."""

    authentication_classes = ()
    permission_classes = ()
    permissions_required: ClassVar[Mapping[str, str | None]] = {"GET": None}
    described: ClassVar[Mapping[str, Described]] = {
        "retrieve": Described(summary="This description", answer={"type": "object"}, bare=True, public=True)
    }

    def retrieve(self, request: Request) -> Response:
        found: dict[str, Any] = document()
        return Response(found)


def api_docs(request: HttpRequest) -> HttpResponse:
    """``GET /docs``: Swagger UI over the schema."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    answer = render(request, "api_docs.html")
    answer.headers["Content-Security-Policy"] = _POLICY
    return answer
