"""Pages of other origins that may read the stream: those of ``CNAASJOBS_CORS_ORIGINS``, as for the API itself."""

from typing import Final

from django.conf import settings
from starlette.requests import Request
from starlette.responses import Response

from cnaasjobs.conf import conf

_METHODS: Final = "GET, OPTIONS"
_MAX_AGE_SECONDS: Final = 86_400


def headers_for(request: Request) -> dict[str, str]:
    """Headers for every answer, errors too: without them a page can't read why it was refused."""
    origin = request.headers.get("origin")
    if origin is None or origin not in conf.cors_origins:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}


async def preflight(request: Request) -> Response:
    """A browser asks this, without a token, before a page may send one."""
    allowed = headers_for(request)
    if allowed:
        allowed |= {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": ", ".join([*settings.CORS_ALLOW_HEADERS, "last-event-id"]),
            "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
        }
    return Response(headers=allowed)
