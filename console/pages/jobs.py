"""The list of jobs: those that a search finds, newest first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString

from cnaasjobs.db.clock import database_now
from console.access import may, page
from console.frame import show
from console.reads.health import facts, health
from console.reads.shared import shared
from console.rows import lines_of
from jobs import feed
from jobs.models import Job
from jobs.search.counts import Counted, in_each_state
from jobs.search.find import search
from jobs.search.grammar import SearchError, Term, terms_of
from jobs.search.qualifiers import id_of
from jobs.states import Status

PER_PAGE: Final = 50
MOST_AT_ONCE: Final = 200  # rows that are asked for by their ids


class Chip(NamedTuple):
    """A part of the search, and the page without it."""

    text: str
    url: str


class Tab(NamedTuple):
    title: str
    url: str
    jobs: str  # how many; empty: unknown
    is_here: bool


class Part(NamedTuple):
    """Of the list, with where the parts before and after it are."""

    rows: SafeString
    before: int | None = None
    after: int | None = None
    gave_up: str | None = None


@page("jobs.view_job")
def jobs(request: HttpRequest) -> HttpResponse:
    """``?q=`` is the search, ``?before=`` and ``?after=`` are ids where the page begins or ends."""
    line = request.GET.get("q", "").strip()
    if (job_id := id_of(line)) is not None and Job.objects.filter(pk=job_id).exists():
        return HttpResponseRedirect(reverse("console:job", args=[job_id]))
    position = feed.position()
    before, after = (id_of(request.GET.get(name, "")) for name in ("before", "after"))
    picking = _picking(request, line, before=before, after=after)
    error, terms, part = "", [], Part(SafeString(""))
    try:
        terms = terms_of(line)
        part = shared(_part, position, position.feed, line, before, after, picking["can_pick"], picking["picked"])
    except SearchError as exc:
        error = str(exc)
    is_newest = before is None and after is None
    counts = {} if any(term.name != "status" for term in terms) else shared(in_each_state, position)
    well = health(shared(facts, position), counts, request.user.has_perm) if is_newest and not line else None
    context = {
        "line": line,
        "error": error,
        "chips": list(_chips(terms)),
        "tabs": list(_tabs(terms, counts)),
        "rows": part.rows,
        "gave_up": part.gave_up,
        "older": _url(line, before=part.before) if part.before else None,
        "newer": _url(line, after=part.after) if part.after and not is_newest else None,
        "newest": _url(line),
        "is_newest": is_newest,
        **picking,
        "health": well,
    }
    sign = "lost" if well is not None and not well.is_well else ""
    return show(request, "console/jobs.html", context, after=position, sign=sign, status=400 if error else 200)


def _part(feed: str, line: str, before: int | None, after: int | None, can_pick: bool, picked: bool) -> Part:
    """The same for everybody who may pick: a change has every open list ask for it at once."""
    now = database_now()
    found = search(line, size=PER_PAGE, before=before, after=after, now=now)
    rows = lines_of(found.jobs, now=now, feed=feed, can_pick=can_pick, picked=picked)
    return Part(rows, found.before, found.after, found.gave_up)


@page("jobs.view_job")
def rows(request: HttpRequest) -> HttpResponse:
    """``?id=1&id=2``: only these rows, as the list has them. Those that are gone are left out."""
    ids = [job_id for text in request.GET.getlist("id")[:MOST_AT_ONCE] if (job_id := id_of(text)) is not None]
    found = Job.objects.filter(pk__in=ids).defer("finished_devices", "start_arguments").order_by("-id")
    may_pick = _picking(request, "")
    lines = lines_of(list(found), now=database_now(), can_pick=may_pick["can_pick"], picked=may_pick["picked"])
    return HttpResponse(lines)


def _picking(request: HttpRequest, line: str, **position: int | None) -> dict[str, Any]:
    """Only people who may do something with jobs can select them."""
    can_abort, can_run = may(request, "jobs.abort_job"), may(request, "jobs.add_job")
    here = {name: value for name, value in position.items() if value is not None}
    return {
        "can_abort": can_abort,
        "can_run": can_run,
        "can_pick": can_abort or can_run,
        "picked": request.GET.get("pick") == "shown",
        "pick_url": _url(line, **here, pick="shown"),
        "unpick_url": _url(line, **here),
    }


def _url(line: str, **position: Any) -> str:
    query = urlencode({**({"q": line} if line else {}), **position})
    return f"{reverse('console:jobs')}{f'?{query}' if query else ''}"


def _line_of(terms: Sequence[Term]) -> str:
    return " ".join(map(str, terms))


def _chips(terms: Sequence[Term]) -> Iterator[Chip]:
    for place, term in enumerate(terms):
        yield Chip(str(term), _url(_line_of([*terms[:place], *terms[place + 1 :]])))


def _tabs(terms: Sequence[Term], counts: Mapping[Status | None, Counted]) -> Iterator[Tab]:
    """The states; with the rest of the search, if there is one. Then nobody has counted."""
    others = [term for term in terms if term.name != "status"]
    chosen = {term.value.lower() for term in terms if term.name == "status"}
    yield Tab("All", _url(_line_of(others)), str(counts.get(None, "")), is_here=not chosen)
    for status in (Status.RUNNING, Status.SCHEDULED, Status.EXCEPTION, Status.FINISHED):
        value = status.value.lower()
        url = _url(_line_of([Term("status", value), *others]))
        yield Tab(value.capitalize(), url, str(counts.get(status, "")), is_here=chosen == {value})
