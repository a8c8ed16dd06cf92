"""Turns every error into the same envelope: ours, DRF's, Django's, the database's.

Views raise the classes below. ``exception_handler`` is DRF's; ``bad_request`` … ``server_error`` are the project's
``handler400`` … ``handler500``, for failures before or outside a view. ``unavailable`` is for pages.
"""

import sys
from collections.abc import Mapping
from typing import Any

from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import (
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
)
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import render
from django.views import defaults
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from cnaasjobs.api.actions import ApiAction
from cnaasjobs.api.envelope import error_body, error_response
from cnaasjobs.conf import conf
from cnaasjobs.db.not_now import not_now, part_with, takes_no_writes, took_too_long
from cnaasjobs.events import record

DATABASE_AWAY = "The database is away, try again later"
NO_WRITES = "The database takes no writes now, try again later"
RETRY_AFTER = {"Retry-After": "2"}
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class ApiError(APIException):
    """An error with a message for the person who reads it. Subclasses differ only in their status."""

    status_code: int = status.HTTP_400_BAD_REQUEST

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail=message)
        self.headers = dict(headers or {})


class BadRequest(ApiError):
    pass


class Forbidden(ApiError):
    status_code = status.HTTP_403_FORBIDDEN


class NotFound(ApiError):
    status_code = status.HTTP_404_NOT_FOUND


class Conflict(ApiError):
    status_code = status.HTTP_409_CONFLICT


class UnsupportedMediaType(ApiError):
    status_code = status.HTTP_415_UNSUPPORTED_MEDIA_TYPE


class TooManyRequests(ApiError):
    status_code = status.HTTP_429_TOO_MANY_REQUESTS


class Unavailable(ApiError):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook. None passes bugs of ours on to ``server_error``, which logs the traceback."""
    if not_now(exc):
        _part_with_database(exc)
        exc = Unavailable(_why_not_now(exc), headers=RETRY_AFTER)
    if isinstance(exc, APIException):
        return _answer(exc)
    if isinstance(exc, Http404):
        return Response(error_body(str(exc) or "Not found"), status=status.HTTP_404_NOT_FOUND)
    if isinstance(exc, PermissionDenied):
        return Response(error_body(str(exc) or "Permission denied"), status=status.HTTP_403_FORBIDDEN)
    if isinstance(exc, SuspiciousOperation | UnreadablePostError):
        code, message = _described(exc)
        return Response(error_body(message), status=code)
    return None


def _part_with_database(exc: BaseException) -> None:
    record(ApiAction.DATABASE_AWAY, error=str(exc))
    for database in connections.all(initialized_only=True):
        part_with(database)


def _why_not_now(exc: BaseException) -> str:
    if took_too_long(exc):
        return f"The database took longer than {conf.read_seconds:g} s for this; ask for less, or fewer text filters"
    return NO_WRITES if takes_no_writes(exc) else DATABASE_AWAY


def _answer(exc: APIException) -> Response:
    headers: dict[str, str] = dict(getattr(exc, "headers", {}))
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    return Response(error_body(_text(exc.detail)), status=exc.status_code, headers=headers)


def _text(detail: Any) -> str:
    """DRF's details may be nested; the envelope has one message."""
    if isinstance(detail, Mapping):
        return "; ".join(f"{key}: {_text(part)}" for key, part in detail.items())
    if isinstance(detail, list | tuple):
        return "; ".join(_text(part) for part in detail)
    return str(detail)


def _described(exc: BaseException) -> tuple[int, str]:
    if isinstance(exc, DisallowedHost):
        return status.HTTP_400_BAD_REQUEST, "The Host header does not name a host that is served here"
    if isinstance(exc, RequestDataTooBig):
        return status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "Request body is too large"
    if isinstance(exc, TooManyFieldsSent):
        return status.HTTP_400_BAD_REQUEST, "Too many parameters"
    if isinstance(exc, UnreadablePostError):  # the client went away, or sent less than its Content-Length
        return status.HTTP_400_BAD_REQUEST, "Request body could not be read"
    return status.HTTP_400_BAD_REQUEST, "Bad request"


def is_api(request: HttpRequest) -> bool:
    """Whether it belongs to the API, which requires a token; without tokens only this machine may use it."""
    return request.path_info.startswith(("/api/", "/metrics")) or request.path_info == "/api"


def is_page(request: HttpRequest) -> bool:
    """Whether a person reads the answer in a browser.

    At an unknown URL it may also be a client of the API that has the URL wrong; that reads no HTML unless it says so.
    """
    if request.path_info == "/admin" or request.path_info.startswith("/admin/"):
        return True
    return not is_api(request) and "text/html" in request.headers.get("Accept", "")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, SessionInterrupted) and (exc := _not_now_behind(exception)) is not None:
        return unavailable(request, exc)
    if not is_page(request):
        code, message = _described(exception)
        return error_response(message, status=code)
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_page(request):
        return error_response("Permission denied", status=status.HTTP_403_FORBIDDEN)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_page(request):
        return error_response(f"No such URL: {request.path[:200]}", status=status.HTTP_404_NOT_FOUND)
    return defaults.page_not_found(request, exception)


def unavailable(request: HttpRequest, exc: BaseException) -> HttpResponse:
    """The answer when the database can't serve a request now, for pages and everything else that is not an API view."""
    _part_with_database(exc)
    if is_api(request) or not (is_page(request) or request.resolver_match):
        response = error_response(_why_not_now(exc), status=status.HTTP_503_SERVICE_UNAVAILABLE)
    else:
        title, words = _not_now_in_words(exc, changes=request.method not in _SAFE_METHODS)
        response = render(request, "503.html", {"title": title, "words": words}, status=503)
    for name, value in (*RETRY_AFTER.items(), ("Cache-Control", "no-store")):
        response[name] = value
    return response


def _not_now_in_words(exc: BaseException, *, changes: bool) -> tuple[str, str]:
    """A title, and what to do about it. ``changes``: the request wanted to change something, and may have done so."""
    if took_too_long(exc):
        seconds = f"The database took longer than {conf.read_seconds:g} s for this."
        return "That took too long", f"{seconds} Ask for less: narrow the search."
    if takes_no_writes(exc):
        done = "so this was not done, or not completely" if changes else "and this page needs to write"
        return "The database takes no writes", f"It takes no writes at the moment, {done}. Try again in a few seconds."
    away = "The database can't be reached at the moment."
    if changes:
        return "The database is away", f"{away} Whether this was done is not known: check before you do it again."
    return "The database is away", f"{away} Nothing is lost: reload this page in a few seconds."


def _not_now_behind(exc: BaseException) -> BaseException | None:
    """The database's error in its causes: Django reports any failure to store a session as a lost session."""
    found: BaseException | None = exc
    while found is not None and not not_now(found):
        found = found.__cause__ or found.__context__
    return found


def server_error(request: HttpRequest) -> HttpResponse:
    exc = sys.exception()
    if exc is not None and not_now(exc):  # outside of a view, such as when a session is stored
        return unavailable(request, exc)
    if not is_page(request):
        return error_response("Internal server error", status=status.HTTP_500_INTERNAL_SERVER_ERROR)
    return defaults.server_error(request)
