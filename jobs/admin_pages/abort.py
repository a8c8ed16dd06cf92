"""Aborting jobs from the admin: a page that asks for a reason and for confirmation, then one audited abort for each."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from cnaasjobs.api.caller import note_refusal, origin, who
from jobs.admin_pages.toolkit.listing import as_id
from jobs.admin_pages.toolkit.show import job_url
from jobs.audit import trail
from jobs.errors import JobNotAbortable, JobNotFound, NotAllowed
from jobs.models import Job
from jobs.operating import aborting
from jobs.rights.selected import DevicesUnknown
from jobs.states import TERMINAL, Status

MAX_JOBS: Final = 500


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True}),
        help_text="Shown as the job's exception, followed by your name.",
    )

    def clean_reason(self) -> str:
        return str(self.cleaned_data["reason"]).strip()


def is_abortable(job: Job) -> bool:
    return job.status not in TERMINAL and job.abort_reason is None


def view(request: HttpRequest, page: dict[str, Any]) -> HttpResponse:
    """Ask on GET, abort on POST. ``?ids=1,2`` names the jobs. The caller checks permissions."""
    given = request.GET.get("ids", "").split(",")[:MAX_JOBS]
    ids = sorted({job_id for text in given if (job_id := as_id(text)) is not None})
    rows = Job.objects.filter(pk__in=ids).defer("finished_devices", "start_arguments").order_by("-id")
    jobs = [job for job in rows if is_abortable(job)]
    if not jobs:
        messages.warning(request, "Nothing to abort: only jobs that are SCHEDULED or RUNNING can be.")
        return _back(ids)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        _abort(request, [job.pk for job in jobs], form.cleaned_data["reason"] or "Aborted in the admin")
        return _back(ids)
    context = {
        **page,
        "title": f"Abort job {jobs[0].pk}?" if len(jobs) == 1 else f"Abort {len(jobs)} jobs?",
        "form": form,
        "waiting": [job for job in jobs if job.status == Status.SCHEDULED],
        "running": [job for job in jobs if job.status == Status.RUNNING],
        "left_out": len(ids) - len(jobs),
        "back_url": _back_url(ids),
    }
    return TemplateResponse(request, "admin/jobs/abort.html", context)


def _abort(request: HttpRequest, ids: list[int], reason: str) -> None:
    """Each in its own transaction with its audit entry, so one that has ended meanwhile does not undo the others."""
    ended: list[int] = []
    told: list[int] = []
    for job_id in ids:
        try:
            by = trail.By(who=who(request), origin=origin(request), user=request.user)
            job = aborting.abort(job_id, reason=reason, by=by)
        except (JobNotFound, JobNotAbortable, NotAllowed, DevicesUnknown) as exc:
            if isinstance(exc, NotAllowed):
                note_refusal(request, str(exc))
            messages.warning(request, f"Not aborted: {exc}.")
            continue
        (told if job.status == Status.RUNNING else ended).append(job_id)
    if ended:
        messages.success(request, f"Aborted: {_named(ended)}.")
    if told:
        messages.success(request, f"Told to stop at the next safe point: {_named(told)}.")


def _named(ids: list[int]) -> str:
    return f"{'job' if len(ids) == 1 else 'jobs'} {', '.join(map(str, ids))}"


def _back_url(ids: list[int]) -> str:
    return job_url(ids[0]) if len(ids) == 1 else reverse("admin:jobs_job_changelist")


def _back(ids: list[int]) -> HttpResponse:
    return HttpResponseRedirect(_back_url(ids))
