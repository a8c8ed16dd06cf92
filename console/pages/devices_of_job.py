"""One device of a job, and downloads: the devices as CSV, their diffs and the log as text."""

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from cnaasjobs.api.times import time_text
from console.access import page
from console.devices import DeviceQuery, group_of, rows_of, sections_of, words_for
from console.diff import shown
from console.frame import said, show
from console.pages.job import no_such_job
from console.wanted_log import wanted as wanted_lines
from jobs.api.log_view import as_text
from jobs.models import Job, JobDevice

_AT_ONCE: Final = 50  # reports that one statement fetches
_COLUMNS: Final = ("device", "outcome", "reason", "score", "step", "worker", "started", "ended")
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


@page("jobs.view_job")
def device(request: HttpRequest, job_id: int, host: str) -> HttpResponse:
    """One device of a job. ``?part=1`` returns only the part that the job's page shows."""
    found = Job.objects.filter(pk=job_id).first()
    if found is None:
        return no_such_job(request, job_id)
    row = None if "\x00" in host else JobDevice.objects.filter(job_id=job_id, host=host).defer("memo").first()
    if row is None:
        words, back = f"Job {job_id} has no device {host[:100]}.", reverse("console:job", args=[job_id])
        return said(request, "No such device", words, status=404, back=back)
    group = group_of(row)
    tells = row.changed is not None or row.change_score is not None
    context = {
        "job": found,
        "device": row,
        "group": group,
        "word": words_for(found, tells=tells)[group],
        "sections": list(shown(sections_of(found, row.report))),
    }
    template = "console/_device.html" if "part" in request.GET else "console/device_of_job.html"
    return show(request, template, context)


@page("jobs.view_job")
def as_csv(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """The devices that the page shows, from all its pages."""
    found = Job.objects.filter(pk=job_id).first()
    if found is None:
        return no_such_job(request, job_id)
    words = words_for(found, tells=True)
    rows = rows_of(job_id, DeviceQuery.of(request.GET))
    text = StringIO()
    write = csv.writer(text)
    write.writerow(_COLUMNS)
    for row in rows:
        times = (time_text(row.start_time), time_text(row.finish_time))
        cells = (row.host, words[group_of(row)], row.reason, row.change_score, row.step, row.worker, *times)
        write.writerow([_cell(cell) for cell in cells])
    return _download(HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8"), f"job-{job_id}-devices.csv")


@page("jobs.view_job")
def diffs(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """The diffs of the devices that the page shows, one after the other."""
    found = Job.objects.filter(pk=job_id).first()
    if found is None:
        return no_such_job(request, job_id)
    ids = list(rows_of(job_id, DeviceQuery.of(request.GET)).values_list("pk", flat=True))
    pieces = StreamingHttpResponse(_diffs(found, ids), content_type="text/plain; charset=utf-8")
    return _download(pieces, f"job-{job_id}.diff")


@page("jobs.view_job")
def log(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """The log as text, as the page filters it."""
    if not Job.objects.filter(pk=job_id).exists():
        return no_such_job(request, job_id)
    lines, _ = wanted_lines(job_id, request.GET)
    return _download(HttpResponse(as_text(lines), content_type="text/plain; charset=utf-8"), f"job-{job_id}.log")


def _diffs(job: Job, ids: list[int]) -> Iterator[str]:
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = {
            pk: (host, report)
            for pk, host, report in JobDevice.objects.filter(pk__in=some).values_list("pk", "host", "report")
        }
        for host, report in (rows[pk] for pk in some if pk in rows):
            for section in sections_of(job, report):
                if section.is_diff:
                    yield f"=== {host} ===\n{section.text}\n\n"


def _cell(value: Any) -> str:
    """A spreadsheet would evaluate a text that begins like a formula, and names and reasons come from outside."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _download(response: HttpResponseBase, name: str) -> HttpResponseBase:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
