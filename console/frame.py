"""What every page has around it: the navigation, who is signed in, and the live updates."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from console.templatetags.looks import address
from jobs.appearance import MARKS
from jobs.feed import Kind, Position


class Place(NamedTuple):
    """A page in the navigation."""

    title: str
    name: str  # of its URL
    permission: str
    key: str  # the key that opens it, pressed after g


PLACES: Final = (
    Place("Jobs", "console:jobs", "jobs.view_job", "j"),
    Place("Devices", "console:devices", "jobs.view_job", "d"),
    Place("Locks", "console:locks", "locks.view_lock", "l"),
    Place("Timeline", "console:timeline", "jobs.view_job", "t"),
    Place("Schedules", "console:schedules", "jobs.view_job", "s"),
    Place("Workers", "console:workers", "jobs.view_heartbeat", "w"),
)
_ICONS: Final = {
    "running": "-running",
    "finished": "-finished",
    "exception": "-exception",
    "aborted": "-exception",
    "lost": "-exception",
}
_STREAM: Final = "/api/v1.0/events"
_HEARD: Final[Mapping[Kind, str]] = {Kind.JOB: "jobs.view_job", Kind.LOCK: "locks.view_lock", Kind.LOG: "jobs.view_job"}
# Deletions, heartbeats, slots and places in line cause no events.
EVERY_SECONDS: Final = 10
PAUSE_SECONDS: Final = 2
# Characters that reverse the direction of text: in a name, they would reverse the rest of the sentence too.
_TURNING: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")


def show(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    after: Position | None = None,
    about: int | None = None,
    pause: int = PAUSE_SECONDS,
    sign: str = "",
    status: int = 200,
) -> HttpResponse:
    """Args:
    after: the end of the change feed, asked before anything that the page shows.
    about: the job that the page is about. It gets no updates of other jobs, and this job's log too.
    pause: the page is not loaded again before so many seconds have passed.
    sign: the look of what the page shows, for the tab: its mark before the title, and its icon.
    """
    live = {"after": after, "events": _events(request, about), "every": max(EVERY_SECONDS, pause), "pause": pause}
    tab = {"mark": MARKS.get(sign, ""), "icon": f"console/icon{_ICONS.get(sign, '')}.svg"}
    frame = {"places": _places(request), "user": request.user, "asked_at": timezone.now(), **live, **tab}
    return render(request, template, {**frame, **(context or {})}, status=status)


def said(request: HttpRequest, title: str, words: str, *, status: int, back: str = "") -> HttpResponse:
    """A page with nothing but a message, and the way ``back`` to what it is about. It does not ask the database."""
    stranger = status == HTTPStatus.FORBIDDEN and request.user.pk is not None
    context = {"title": title, "words": words.translate(_TURNING), "back": back, "stranger": stranger}
    return render(request, "console/said.html", context, status=status)


def _events(request: HttpRequest, about: int | None) -> str:
    """The URL of the stream with what the page shows and this user may see."""
    user: Any = request.user
    wanted = (Kind.JOB, Kind.LOCK) if about is None else (Kind.JOB, Kind.LOCK, Kind.LOG)
    kinds = [kind.value for kind in wanted if user.has_perm(_HEARD[kind])]
    if not kinds:
        return ""
    return f"{_STREAM}?{urlencode({'kind': ','.join(kinds), **({} if about is None else {'job': about})}, safe=',')}"


def _places(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    return [
        {**place._asdict(), "url": url, "is_here": request.path == url, "is_above": request.path.startswith(url)}
        for place in PLACES
        if user.has_perm(place.permission)
        for url in (address(place.name),)
    ]
