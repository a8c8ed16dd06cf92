"""The devices of the inventory, and what is known about each: results, commits, drift, its jobs, its place in line."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from cnaasjobs.db.clock import database_now
from console.access import page
from console.devices import LONGEST
from console.frame import said, show
from console.reads import devices as reads
from console.rows import rows_of
from jobs import feed
from jobs.search.qualifiers import id_of
from jobs.waiting.progress import looks_of


@page("jobs.view_job")
def devices(request: HttpRequest) -> HttpResponse:
    """``?find=`` is a part of a name, type, platform or group, or a list of names; ``?page=`` a number."""
    position, search = feed.position(), request.GET.get("find", "").strip()[:LONGEST]
    context: dict[str, Any] = {"find": search}
    try:
        found = reads.page_of(search, id_of(request.GET.get("page", "")) or 1)
    except reads.InventoryAway as exc:
        return show(request, "console/devices.html", {**context, "away": str(exc)}, status=503)
    context |= {"page": found, "now": database_now()}
    context |= {"previous": _url(search, found.number - 1) if found.number > 1 else None}
    context |= {"next": _url(search, found.number + 1) if found.number < found.pages else None}
    return show(request, "console/devices.html", context, after=position, pause=10)


@page("jobs.view_job")
def device(request: HttpRequest, name: str) -> HttpResponse:
    """``?before=`` is a job: its earlier results."""
    position, before = feed.position(), id_of(request.GET.get("before", ""))
    away = ""
    try:
        found = None if "\x00" in name else reads.device(name)
        waiting = rows_of(reads.waiting_for(name)) if found else []
    except reads.InventoryAway as exc:
        found, waiting, away = reads.device_without_inventory(name), [], str(exc)
    if found is None:
        return said(request, "No such device", f"Neither the inventory nor any job knows {name[:100]}.", status=404)
    rows = reads.history(name, before)
    looks = looks_of(row.job for row in rows)
    context = {
        "device": found,
        "away": away,
        "now": database_now(),
        "waiting": waiting,
        "running": reads.running_on(name),
        "rows": [(row, looks[row.job_id]) for row in rows[: reads.HISTORY]],
        "before": before,
        "older": rows[reads.HISTORY - 1].job_id if len(rows) > reads.HISTORY else None,
    }
    return show(request, "console/device.html", context, after=position)


def _url(search: str, number: int) -> str:
    return f"{reverse('console:devices')}?{urlencode({**({'find': search} if search else {}), 'page': number})}"
