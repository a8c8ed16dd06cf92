"""The list of jobs: those that a search finds, newest first or sorted by a column."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString

from cnaasjobs.db.clock import database_now
from console.access import may, page
from console.frame import show
from console.jinja import listed
from console.reads.health import facts, health
from console.reads.shared import shared
from console.rows import lines_of
from console.wanted_jobs import JobQuery
from jobs import feed
from jobs.models import Job
from jobs.search import ordered
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


class Link(NamedTuple):
    """A link to another part of the list."""

    title: str
    url: str
    rel: str = ""


class Part(NamedTuple):
    """A page of the list, with its column headings and the links to the pages around it."""

    heads: SafeString
    rows: SafeString
    links: list[Link]
    gave_up: str | None = None
    unsorted: str = ""  # the URL of the older jobs that match, which are not among those that were sorted


@page("jobs.view_job")
def jobs(request: HttpRequest) -> HttpResponse:
    """``?q=`` is the search, ``?before=`` and ``?after=`` are ids where the page begins or ends, ``?sort=`` orders."""
    wanted = JobQuery.of(request.GET)
    line = wanted.line
    if (job_id := id_of(line)) is not None and Job.objects.filter(pk=job_id).exists():
        return HttpResponseRedirect(reverse("console:job", args=[job_id]))
    position = feed.position()
    now = shared(database_now, position)
    picking = _picking(request)
    error, terms, part = "", [], Part(SafeString(""), SafeString(""), [])
    try:
        terms = terms_of(line)
        part = shared(_part, position, position.feed, wanted, picking["can_pick"], now=now)
    except SearchError as exc:
        error = str(exc)
    counts = {} if any(term.name != "status" for term in terms) else shared(in_each_state, position)
    is_first = not (line or wanted.before or wanted.after)
    well = health(shared(facts, position, now=now), counts, request.user.has_perm) if is_first else None
    context = {
        "line": line,
        "error": error,
        "chips": list(_chips(wanted, terms)),
        "tabs": list(_tabs(wanted, terms, counts)),
        "part": part,
        "wanted": wanted,
        "most": ordered.MOST,
        "pick_url": wanted.url(pick="" if wanted.pick else "shown"),
        **picking,
        "health": well,
    }
    sign = "lost" if well is not None and not well.is_well else ""
    return show(request, "console/jobs.html", context, after=position, sign=sign, status=400 if error else 200)


def _part(feed: str, wanted: JobQuery, can_pick: bool, *, now: datetime) -> Part:
    """The same for everybody who may pick, so that it is made once: after a change every open list asks for it."""
    if wanted.sort and id_of(wanted.line) is None:
        found, part = _sorted_part(wanted, now)
    else:
        found, part = _newest_part(wanted, now)
    rows = lines_of(found, now=now, feed=feed, can_pick=can_pick, picked=bool(wanted.pick))
    return part._replace(rows=rows)


def _newest_part(wanted: JobQuery, now: datetime) -> tuple[list[Job], Part]:
    found = search(wanted.line, size=PER_PAGE, before=wanted.before, after=wanted.after, now=now)
    links = [Link("Newest", _newest(wanted))] if not wanted.is_newest else []
    if found.after and not wanted.is_newest:
        links.append(Link("Newer", wanted.url(before=None, after=found.after, pick=None), "prev"))
    if found.before:
        links.append(Link("Older", wanted.url(before=found.before, after=None, pick=None), "next"))
    return found.jobs, Part(_heads(wanted, found.after), SafeString(""), links, found.gave_up)


def _sorted_part(wanted: JobQuery, now: datetime) -> tuple[list[Job], Part]:
    name, descending = wanted.sort.removeprefix("-"), wanted.sort.startswith("-")
    found = ordered.sorted_jobs(
        wanted.line, name, descending=descending, size=PER_PAGE, page=wanted.page, before=wanted.before, now=now
    )
    here = min(wanted.page, found.last_page)
    links = [Link("Newest", _newest(wanted))]
    if here > 1:
        links.append(Link("Before", wanted.url(page=here - 1, pick=None), "prev"))
    if here < found.last_page:
        links.append(Link("Next", wanted.url(page=here + 1, pick=None), "next"))
    unsorted = wanted.url(before=found.before, page=None, pick=None) if found.before else ""
    return found.jobs, Part(_heads(wanted, None), SafeString(""), links, found.gave_up, unsorted)


def _heads(wanted: JobQuery, newer: int | None) -> SafeString:
    return listed("console/heads.html", heads=list(wanted.heads(newer)))


def _newest(wanted: JobQuery) -> str:
    return JobQuery(line=wanted.line).url()


@page("jobs.view_job")
def rows(request: HttpRequest) -> HttpResponse:
    """``?id=1&id=2``: only these rows, as the list has them. Those that are gone are left out."""
    ids = [job_id for text in request.GET.getlist("id")[:MOST_AT_ONCE] if (job_id := id_of(text)) is not None]
    found = Job.objects.filter(pk__in=ids).defer("finished_devices", "start_arguments").order_by("-id")
    picked = request.GET.get("pick") == "shown"
    lines = lines_of(list(found), now=database_now(), can_pick=_picking(request)["can_pick"], picked=picked)
    return HttpResponse(lines)


def _picking(request: HttpRequest) -> dict[str, Any]:
    """Only people who may do something with jobs can select them."""
    can_abort, can_run = may(request, "jobs.abort_job"), may(request, "jobs.add_job")
    return {"can_abort": can_abort, "can_run": can_run, "can_pick": can_abort or can_run}


def _line_of(terms: Sequence[Term]) -> str:
    return " ".join(map(str, terms))


def _chips(wanted: JobQuery, terms: Sequence[Term]) -> Iterator[Chip]:
    for place, term in enumerate(terms):
        others = _line_of([*terms[:place], *terms[place + 1 :]])
        yield Chip(str(term), JobQuery(line=others, sort=wanted.sort).url())


def _tabs(wanted: JobQuery, terms: Sequence[Term], counts: Mapping[Status | None, Counted]) -> Iterator[Tab]:
    """The states; with the rest of the search, if there is one. Then nobody has counted."""
    others = [term for term in terms if term.name != "status"]
    chosen = {term.value.lower() for term in terms if term.name == "status"}
    all_of_them = JobQuery(line=_line_of(others), sort=wanted.sort)
    yield Tab("All", all_of_them.url(), str(counts.get(None, "")), is_here=not chosen)
    for status in (Status.RUNNING, Status.SCHEDULED, Status.EXCEPTION, Status.FINISHED):
        value = status.value.lower()
        url = all_of_them.url(q=_line_of([Term("status", value), *others]))
        yield Tab(value.capitalize(), url, str(counts.get(status, "")), is_here=chosen == {value})
