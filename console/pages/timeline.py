"""The last 24 hours at a glance: a lane for each function and each lock, in a table that says the same."""

from typing import Final

from django.http import HttpRequest, HttpResponse

from console.access import page
from console.frame import show
from console.reads.timeline import COLUMNS, timeline
from jobs import feed

PAUSE_SECONDS: Final = 30  # it reads thousands of jobs, and a day does not change in a second


@page("jobs.view_job")
def last_day(request: HttpRequest) -> HttpResponse:
    position = feed.position()
    context = {"day": timeline(), "width": COLUMNS}
    return show(request, "console/timeline.html", context, after=position, pause=PAUSE_SECONDS)
