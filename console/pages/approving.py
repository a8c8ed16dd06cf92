"""Approving or rejecting a job that waits for a second person: on a page that shows what it is and why it waits."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from console.access import page, typed
from console.chain import chain_of
from console.frame import said, show
from console.pages.actions import acting, not_done
from console.pages.job import no_such_job
from jobs.errors import JobError
from jobs.models import Job
from jobs.operating import approving
from jobs.rights.decide import APPROVE


@page("jobs.view_job", post=APPROVE)
def approve(request: HttpRequest, job_id: int) -> HttpResponse:
    back = reverse("console:job", args=[job_id])
    if request.method == "POST":
        _decide(request, job_id)
        return HttpResponseRedirect(back)
    job = Job.objects.select_related("approval").filter(pk=job_id).first()
    if job is None:
        return no_such_job(request, job_id)
    if not job.unapproved:
        words, back = f"Job {job_id} does not wait for approval.", reverse("console:job", args=[job_id])
        return said(request, "Nothing to approve", words, status=409, back=back)
    obstacle = approving.obstacle(job)
    context = {
        "title": f"{'Reject' if obstacle else 'Approve'} job {job_id}?",
        "job": job,
        "is_own": approving.is_own(job, acting(request)),
        "obstacle": obstacle,
        "came": next((each for each in chain_of(job) if each.is_this and each.how), None),
        "comment": request.GET.get("comment", ""),
        "back": back,
    }
    return show(request, "console/approve.html", context)


def _decide(request: HttpRequest, job_id: int) -> None:
    rejects = "reject" in request.POST
    decide = approving.reject if rejects else approving.approve
    try:
        decide(job_id, by=acting(request), comment=typed(request.POST.get("comment", "")))
    except JobError as exc:
        not_done(request, "Not rejected" if rejects else "Not approved", exc)
    else:
        messages.success(request, f"Job {job_id} is {'rejected' if rejects else 'approved'}.")
