"""The frame that every page has: where one can go from here, who is signed in, where the page's live updates begin."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from jobs.feed import Position


class Place(NamedTuple):
    """A page in the navigation."""

    title: str
    name: str  # of its URL
    permission: str


PLACES: Final = (Place("Jobs", "console:jobs", "jobs.view_job"),)


def show(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    after: Position | None = None,
    status: int = 200,
) -> HttpResponse:
    """Args:
    after: the end of the change feed, asked before anything that the page shows.
    """
    framed = {"places": _places(request), "user": request.user, "after": after, **(context or {})}
    return render(request, template, framed, status=status)


def said(request: HttpRequest, title: str, words: str, *, status: int) -> HttpResponse:
    """A page that only says something. It asks the database nothing."""
    return render(request, "console/said.html", {"title": title, "words": words}, status=status)


def _places(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    return [
        {"title": place.title, "url": url, "is_here": request.path == url, "is_above": request.path.startswith(url)}
        for place in PLACES
        if user.has_perm(place.permission)
        for url in (reverse(place.name),)
    ]
