"""Workers and Beats: which are alive, what they serve and do; and the queues, with what waits on each."""

from django.http import HttpRequest, HttpResponse

from console.access import page
from console.frame import show
from console.reads.workers import SHOWN, processes
from jobs import feed


@page("jobs.view_heartbeat")
def workers(request: HttpRequest) -> HttpResponse:
    position = feed.position()
    return show(request, "console/workers.html", {"found": processes(), "most": SHOWN}, after=position)
