"""What there is, read from the URL map: routes as a person writes them, such as ``jobs/{job_id}``."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.views.generic import RedirectView

API = "api/v1.0/"
ADMIN = "admin/"
METHODS = ("get", "post", "put", "patch", "delete")  # HEAD is GET's


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
            found |= {(method, route) for method in _methods(view)}
    return found


def _methods(view: Any) -> set[str]:
    """What it answers with more than "not so"; GET, if that is nothing."""
    if hasattr(view, "takes_posts"):  # a page of the console
        return {"GET", "POST"} if view.takes_posts else {"GET"}
    kind: Any = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if kind is RedirectView:
        return {"GET"}  # whatever it is sent
    named = getattr(view, "actions", None) or {name for name in METHODS if hasattr(kind, name)}
    allowed = getattr(kind, "http_method_names", METHODS)
    return {name.upper() for name in named if name in METHODS and name in allowed} or {"GET"}


def of_admin() -> set[str]:
    return {route for route in routes() if route.startswith(ADMIN) or route == "admin"}


def of_console() -> set[tuple[str, str]]:
    others = {route for _, route in of_api()} | of_admin()
    return {(method, route) for route, view in routes().items() if route not in others for method in _methods(view)}
