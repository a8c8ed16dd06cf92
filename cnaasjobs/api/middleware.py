"""Middleware: remembers the request for the audit trail, keeps foreign web pages out of an API without tokens, and
gives pages the 503 that the API's own views already give.
"""

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port

from cnaasjobs.api.caller import serving
from cnaasjobs.api.envelope import error_response
from cnaasjobs.api.errors import is_api, unavailable
from cnaasjobs.conf import conf
from cnaasjobs.db.not_now import not_now

MAX_LOCATION_BYTES = 1000  # proxies refuse answers with over 4 KB of headers, and a page's messages may take 2 KB
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


class RememberRequest:
    """Lets code that learns of a change by Django's signals say who made it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with serving(request):
            return self.get_response(request)


class DatabaseNotNow:
    """Answers 503 when the database can't do what a page asks of it now, so that no page has to handle that itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        return unavailable(request, exc) if not_now(exc) else None


class ShortRedirects:
    """Removes the query from a redirect within this server that would be too long: a proxy would refuse the answer,
    although what was asked for has been done.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        target = response.headers.get("Location", "")
        if len(target) > MAX_LOCATION_BYTES and target.startswith("/"):
            response.headers["Location"] = target.partition("?")[0][:MAX_LOCATION_BYTES]
        return response


class ApiGuard:
    """Runs only for ``/api``. It comes after CorsMiddleware, so that a refusal has the CORS headers too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api(request):
            return self.get_response(request)
        refused = None if conf.require_token else foreign_peer(request) or foreign_page(request)
        response = error_response(refused, status=403) if refused else self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return response


def foreign_peer(request: HttpRequest) -> str | None:
    """Why this request may come from another machine; None if it is from this one. A Host header can say anything."""
    peer = request.META.get("REMOTE_ADDR", "")
    if peer and not _is_loopback(peer):
        return (
            "Requests from other machines are refused, because this server asks for no token: "
            "start it with CNAASJOBS_REQUIRE_TOKEN=1"
        )
    return None


def foreign_page(request: HttpRequest) -> str | None:
    """Why this request may come from a web page that is not the operator's own; None if nothing suggests it.

    Without tokens, any page that a browser on this machine shows could make it send requests here.
    """
    page = request.headers.get("Origin")
    if page in conf.cors_origins:
        return None
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return "Requests from other web sites are not served in development (CNAASJOBS_CORS_ORIGINS lists exceptions)"
    if page is not None and not _is_loopback(_host_of(page)):
        return f"Origin {page[:100]} is not served in development (CNAASJOBS_CORS_ORIGINS lists exceptions)"
    return foreign_host(request)


def foreign_host(request: HttpRequest) -> str | None:
    """Why the host name of the request may be under an outsider's control; None if it can't be."""
    if not _is_unspoofable(split_domain_port(request.META.get("HTTP_HOST", "").lower())[0].strip("[]")):
        return (
            "This host name is not served in development, because its owner could point it at this machine: "
            "use localhost, or list the name in ALLOWED_HOSTS"
        )
    return None


def _host_of(origin: str) -> str:
    try:
        return (urlsplit(origin).hostname or "").lower()
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host in LOOPBACK_NAMES or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_unspoofable(host: str) -> bool:
    """False for a name with a dot: the owner of that domain could point it at this machine (DNS rebinding)."""
    if "." not in host or _is_loopback(host) or host in settings.ALLOWED_HOSTS:
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
