"""The page of one job."""

from django.http import HttpRequest, HttpResponse

from console.access import may, page
from console.frame import said, show
from console.rows import rows_of
from jobs import feed
from jobs.lifecycle import steps
from jobs.models import Job
from jobs.states import TERMINAL


@page("jobs.view_job")
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    position = feed.position()
    found = Job.objects.filter(pk=job_id).first()
    if found is None:
        return no_such_job(request, job_id)
    context = {**_head(request, found), "steps": steps.of(found)}
    return show(request, "console/job.html", context, after=position, about=job_id)


@page("jobs.view_job")
def head(request: HttpRequest, job_id: int) -> HttpResponse:
    """What changes while it waits and runs."""
    found = Job.objects.filter(pk=job_id).first()
    if found is None:
        return no_such_job(request, job_id)
    return show(request, "console/_head.html", _head(request, found))


def no_such_job(request: HttpRequest, job_id: int) -> HttpResponse:
    words = f"There is no job {job_id}. It may have been pruned, or it never was."
    return said(request, "No such job", words, status=404)


def _head(request: HttpRequest, job: Job) -> dict[str, object]:
    (row,) = rows_of([job])
    return {
        "job": job,
        "row": row,
        "now": row.now,
        "ended": job.status in TERMINAL,
        "can_abort": may(request, "jobs.abort_job") and job.status not in TERMINAL and job.abort_reason is None,
        "can_run": may(request, "jobs.add_job") and job.status in TERMINAL,
    }
