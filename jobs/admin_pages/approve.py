"""Approving and rejecting from the admin: a page that says what waits and why, and asks for a comment."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from cnaasjobs.api.caller import note_refusal, origin, who
from jobs.admin_pages.toolkit.listing import as_id
from jobs.admin_pages.toolkit.show import job_url
from jobs.audit.trail import By
from jobs.errors import JobError, NotAllowed
from jobs.models import Job
from jobs.operating import approving

MAX_JOBS: Final = 500


class CommentForm(forms.Form):
    comment = forms.CharField(
        max_length=approving.MAX_COMMENT,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True}),
        help_text="Kept with the decision, and shown as the exception of a job that is rejected.",
    )


def view(request: HttpRequest, page: dict[str, Any]) -> HttpResponse:
    """Ask on GET, decide on POST. ``?ids=1,2`` names the jobs. The caller checks permissions."""
    given = request.GET.get("ids", "").split(",")[:MAX_JOBS]
    ids = sorted({job_id for text in given if (job_id := as_id(text)) is not None})
    by = By(who=who(request), origin=origin(request), user=request.user)
    jobs = list(Job.objects.filter(pk__in=ids, unapproved=True).select_related("approval").order_by("-id"))
    back = job_url(ids[0]) if len(ids) == 1 else reverse("admin:jobs_job_changelist")
    if not jobs:
        messages.warning(request, "Nothing to approve: none of them waits for approval.")
        return HttpResponseRedirect(back)
    form = CommentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        for job in jobs:
            _decide(request, job.pk, by, form.cleaned_data["comment"])
        return HttpResponseRedirect(back)
    asked = [(job, approving.is_own(job, by), approving.obstacle(job)) for job in jobs]
    context = {
        **page,
        "title": f"Approve job {jobs[0].pk}?" if len(jobs) == 1 else f"Approve {len(jobs)} jobs?",
        "form": form,
        "jobs": asked,
        "can_approve": any(not is_own and obstacle is None for _, is_own, obstacle in asked),
        "back_url": back,
    }
    return TemplateResponse(request, "admin/jobs/approve.html", context)


def _decide(request: HttpRequest, job_id: int, by: By, comment: str) -> None:
    rejects = "reject" in request.POST
    try:
        (approving.reject if rejects else approving.approve)(job_id, by=by, comment=comment)
    except JobError as exc:
        if isinstance(exc, NotAllowed):
            note_refusal(request, str(exc))
        messages.warning(request, f"Not {'rejected' if rejects else 'approved'}: {exc}.")
    else:
        messages.success(request, f"Job {job_id} is {'rejected' if rejects else 'approved'}.")
