"""Actions on jobs. Each has a page that says what will happen and asks; only its form, a POST, does it.

``?id=1&id=2`` names the jobs; ``?all=1&q=`` means all that the search finds. The form names exactly those that the page
has shown.
"""

import secrets
from collections.abc import Iterable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from cnaasjobs.api.caller import note_refusal, origin, who
from cnaasjobs.api.errors import Conflict
from console.access import page, typed
from console.frame import said, show
from console.pages.job import no_such_job
from jobs.api.idempotency import Answer, OutcomeUnknown, once
from jobs.audit.trail import By
from jobs.errors import JobError, JobNotFound, NotAllowed
from jobs.models import Job
from jobs.operating import aborting, again
from jobs.operating.again import CannotRunAgain, MadeMeanwhile, Proposal, newest_of
from jobs.search.chosen import Chosen, abortable, with_failures
from jobs.search.grammar import SearchError
from jobs.search.qualifiers import id_of
from jobs.states import CameOf, Status
from jobs.waiting.progress import looks_of

AT_ONCE: Final = 500  # aborts of one form
RUNS_AT_ONCE: Final = 50
_SHOWN: Final = 50
KEY: Final = 64  # of the form's key, so that it schedules only once
UNKNOWN: Final = (
    "The database was lost in the middle of the commit: it is not known whether this was scheduled. Load this page"
    " again, and let the browser send the form once more: it shows that job, or schedules one, but never two."
)

_TITLES: Final = {
    CameOf.AGAIN: "Run job {} again?",
    CameOf.FAILED: "Run job {} again on the devices it left undone?",
    CameOf.PLAN: "Apply what job {} showed?",
}


@page("jobs.view_job", post="jobs.abort_job")
def abort(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        ids = _ids(request.POST.get("ids", "").split(","))[:AT_ONCE]
        reason = typed(request.POST.get("reason", "")) or "Aborted in the console"
        _abort(request, ids, reason)
        return _back(request, ids)
    try:
        chosen = _chosen(request, abortable, AT_ONCE)
    except SearchError as exc:
        return said(request, "This search can't be understood", f"{exc}.", status=400, back=reverse("console:jobs"))
    jobs = chosen.jobs
    context = {
        "title": _counted("Abort", jobs, chosen),
        "chosen": chosen,
        "running": [job for job in jobs if job.status == Status.RUNNING],
        "waiting": [job for job in jobs if job.status == Status.SCHEDULED],
        "is_part": chosen.is_more or chosen.total > len(jobs),
        "shown": _SHOWN,
        "ids": ",".join(str(job.pk) for job in jobs),
        "back": _back_url(request, [job.pk for job in jobs]),
        "line": request.GET.get("q", ""),
        "reason": request.GET.get("reason", ""),
        "is_unselected": _is_unselected(request),
    }
    return show(request, "console/abort.html", context)


@page("jobs.view_job", post="jobs.add_job")
def again_on_failed(request: HttpRequest) -> HttpResponse:
    """Run several jobs again, each on the devices that it left undone."""
    if request.method == "POST":
        ids = _ids(request.POST.get("ids", "").split(","))[:RUNS_AT_ONCE]
        try:
            for job_id in ids:
                try:
                    _run(request, job_id, CameOf.FAILED, comment=None)
                except (JobError, Conflict) as exc:
                    not_done(request, "Not scheduled", exc)
        except OutcomeUnknown:
            return said(request, "The database is away", UNKNOWN, status=503)
        return _back(request, [])
    try:
        chosen = _chosen(request, with_failures, RUNS_AT_ONCE)
    except SearchError as exc:
        return said(request, "This search can't be understood", f"{exc}.", status=400, back=reverse("console:jobs"))
    proposals, refused = _proposals(chosen.jobs)
    already = newest_of([proposal.of.pk for proposal in proposals], CameOf.FAILED)
    looks = looks_of(already.values())
    context = {
        "title": _counted("Run again on failed devices:", [proposal.of for proposal in proposals], chosen),
        "chosen": chosen,
        "proposals": [(each, made := already.get(each.of.pk), made and looks[made.pk]) for each in proposals],
        "refused": refused,
        "ids": ",".join(str(proposal.of.pk) for proposal in proposals),
        "seen": ",".join(map(str, looks)),
        "once": secrets.token_urlsafe(),
        "back": _back_url(request, []),
        "line": request.GET.get("q", ""),
        "is_unselected": _is_unselected(request),
    }
    return show(request, "console/again_on_failed.html", context)


@page("jobs.view_job", post="jobs.add_job")
def run_again(request: HttpRequest, job_id: int, kind: str) -> HttpResponse:
    came_of = CameOf(kind)
    if request.method == "POST":
        comment, job = typed(request.POST.get("comment", "")), None
        try:
            job = _run(request, job_id, came_of, comment=comment)
        except OutcomeUnknown:
            return said(request, "The database is away", UNKNOWN, status=503)
        except MadeMeanwhile as exc:
            not_done(request, "Not scheduled", exc)
            return _form_to_run(request, job_id, came_of, comment=comment, status=409)
        except (JobError, Conflict) as exc:
            not_done(request, "Not scheduled", exc)
        return HttpResponseRedirect(reverse("console:job", args=[job.pk if job else job_id]))
    return _form_to_run(request, job_id, came_of, comment=request.GET.get("comment"))


def _form_to_run(
    request: HttpRequest, job_id: int, came_of: CameOf, *, comment: str | None = None, status: int = 200
) -> HttpResponse:
    try:
        proposed = again.proposal(job_id, came_of)
    except JobNotFound:
        return no_such_job(request, job_id)
    except CannotRunAgain as exc:
        back = reverse("console:job", args=[job_id])
        return said(request, "That can't be done", f"{exc}.", status=409, back=back)
    already = newest_of([job_id], came_of).get(job_id)
    context = {
        "title": _TITLES[came_of].format(job_id),
        "proposed": proposed,
        "comment": proposed.of.comment if comment is None else comment,
        "already": already,
        "look": already and looks_of([already])[already.pk],
        "function_name": proposed.task.function_name_of(proposed.arguments),
        "lock": proposed.task.lock,
        "is_live": proposed.arguments.get("dry_run") is False,
        "is_dry": proposed.arguments.get("dry_run") is True,
        "plan": proposed.of.pk if came_of == CameOf.PLAN else proposed.arguments.get("plan"),
        "hostnames": (proposed.arguments.get("hostnames") or [])[:_SHOWN] if proposed.words else [],
        "once": secrets.token_urlsafe(),
        "back": reverse("console:job", args=[job_id]),
    }
    return show(request, "console/again.html", context, status=status)


def acting(request: HttpRequest) -> By:
    """The person who asks, for the audit trail."""
    return By(who=who(request), origin=origin(request), user=request.user)


def _abort(request: HttpRequest, ids: list[int], reason: str) -> None:
    """Abort them one by one: if one has ended meanwhile, the others are aborted all the same."""
    ended: list[int] = []
    told: list[int] = []
    for job_id in ids:
        try:
            job = aborting.abort(job_id, reason=reason, by=acting(request))
        except JobError as exc:
            not_done(request, "Not aborted", exc)
            continue
        (told if job.status == Status.RUNNING else ended).append(job_id)
    if ended:
        messages.success(request, f"Aborted: {_named(ended)}.")
    if told:
        messages.success(request, f"Told to stop before the next device: {_named(told)}.")
    if not ids:
        messages.warning(request, "Nothing was selected.")


def _run(request: HttpRequest, job_id: int, kind: CameOf, *, comment: str | None) -> Job | None:
    """Schedule at most once for each time that the form was shown, however often the browser sends it.

    Raises:
        JobError, Conflict, OutcomeUnknown.
    """
    seen = _ids(request.POST.get("seen", "").split(","))

    def make() -> Answer:
        again.require_room(who(request))
        proposed = again.proposal(job_id, kind)
        return Answer(body={"job_id": again.run(proposed, by=acting(request), comment=comment, seen=seen).pk})

    key = typed(request.POST.get("once", ""))[:KEY]
    found = once(user=who(request), key=key and f"{key} {job_id}", content=[job_id, kind], make=make)
    job = Job.objects.filter(pk=found.body["job_id"]).first()
    if job is not None:  # else it was pruned since
        messages.success(request, f"Scheduled: job {job.pk}, {job.function_name}.")
    return job


def not_done(request: HttpRequest, words: str, exc: Exception) -> None:
    """The answer to somebody who may do this to other jobs but not to this one. The audit trail records the refusal."""
    if isinstance(exc, NotAllowed):
        note_refusal(request, str(exc))
    messages.error(request, f"{words}: {exc}.")


def _proposals(jobs: Iterable[Job]) -> tuple[list[Proposal], list[str]]:
    found: list[Proposal] = []
    refused: list[str] = []
    for job in jobs:
        try:
            found.append(again.proposal(job.pk, CameOf.FAILED))
        except JobError as exc:
            refused.append(str(exc))
    return found, refused


def _chosen(request: HttpRequest, find: Any, most: int) -> Chosen:
    """The jobs that the URL names, or all that its search finds."""
    if "all" in request.GET:
        found: Chosen = find(text=request.GET.get("q", ""), most=most)
    else:
        found = find(ids=_ids(request.GET.getlist("id")), most=most)
    return found


def _is_unselected(request: HttpRequest) -> bool:
    """Somebody pressed the button before selecting a job."""
    return "all" not in request.GET and not _ids(request.GET.getlist("id"))


def _ids(texts: Iterable[str]) -> list[int]:
    return sorted({job_id for text in texts if (job_id := id_of(text)) is not None}, reverse=True)


def _named(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:20]))
    more = f" and {len(ids) - 20} more" if len(ids) > 20 else ""
    return f"{'job' if len(ids) == 1 else f'{len(ids)} jobs:'} {shown}{more}"


def _counted(verb: str, jobs: list[Job], chosen: Chosen) -> str:
    if not jobs:
        return "Nothing to do"
    if len(jobs) == 1 and chosen.total == 1:
        return f"{verb} job {jobs[0].pk}?"
    return f"{verb} {len(jobs):,} jobs?"


def _back_url(request: HttpRequest, ids: list[int]) -> str:
    if len(ids) == 1 and "all" not in request.GET:
        return reverse("console:job", args=ids)
    line = request.GET.get("q", "") or request.POST.get("q", "")
    return reverse("console:jobs", query={"q": line} if line else None)


def _back(request: HttpRequest, ids: list[int]) -> HttpResponse:
    return HttpResponseRedirect(_back_url(request, ids))
