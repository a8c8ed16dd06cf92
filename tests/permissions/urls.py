"""What there is, read from the URL map: routes as a person writes them, such as ``jobs/{job_id}``."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

API = "api/v1.0/"
ADMIN = "admin/"


@cache
def routes() -> dict[str, Callable[..., Any]]:
    return dict(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for each in patterns:
        route = before + _plain(str(each.pattern))
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, route)
        else:
            yield route, each.callback


def _plain(pattern: str) -> str:
    named = re.sub(r"\(\?P<(\w+)>[^()]*\)", r"{\1}", pattern)
    named = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", named)
    return named.removeprefix("^").removesuffix("$").removesuffix("/?")


def of_api() -> set[tuple[str, str]]:
    """Method and route, below ``/api/v1.0/`` or beside it."""
    found = set()
    for route, view in routes().items():
        actions = getattr(view, "actions", None)
        if route.startswith(API) or actions:
            found |= {(method.upper(), route) for method in actions or {"get": ""} if method != "head"}  # GET's
    return found


def of_admin() -> set[str]:
    return {route for route in routes() if route.startswith(ADMIN) or route == "admin"}


def of_console() -> set[str]:
    return routes().keys() - {route for _, route in of_api()} - of_admin()
