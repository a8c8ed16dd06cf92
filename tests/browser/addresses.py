"""The addresses of all pages: at least one row for each name in the console's URL map, and for our admin pages."""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from tests.browser.world import HOSTILE, World

Address = Callable[[World], str]

# A page of the console without a row here fails a test. The first address of each is the one that most users see.
CONSOLE: Final[Mapping[str, tuple[Address, ...]]] = {
    "home": (lambda _: "/",),
    "jobs": (
        lambda _: "/jobs",
        lambda _: "/jobs?q=status:running,exception+function:sync_devices+eos",
        lambda _: "/jobs?q=nothing:like+it",
        lambda world: f"/jobs?sort=-took&before={world.later.pk}",
        lambda _: f"/jobs?q=ticket:none+{HOSTILE[:8]}",
    ),
    "job": (
        lambda world: f"/jobs/{world.dry_run.pk}",
        lambda world: f"/jobs/{world.running.pk}",
        lambda world: f"/jobs/{world.waiting.pk}",
        lambda world: f"/jobs/{world.later.pk}",
        lambda world: f"/jobs/{world.aborted.pk}",
        lambda world: f"/jobs/{world.lost.pk}",
        lambda world: f"/jobs/{world.dry_run.pk}?device=eos&only=changed",
        lambda _: "/jobs/999999999",
    ),
    "job_device": (
        lambda world: f"/jobs/{world.dry_run.pk}/devices/{world.host}",
        lambda world: f"/jobs/{world.dry_run.pk}/devices/{quote(HOSTILE[:60], safe='')}",
        lambda world: f"/jobs/{world.dry_run.pk}/devices/nobody",
    ),
    "approve": (lambda world: f"/jobs/{world.unapproved.pk}/approve",),
    "abort": (
        lambda world: f"/jobs/abort?id={world.running.pk}&id={world.waiting.pk}",
        lambda _: "/jobs/abort?all=1&q=function:sync_devices",
        lambda _: "/jobs/abort",
    ),
    "again": (
        lambda world: f"/jobs/{world.dry_run.pk}/run/plan",
        lambda world: f"/jobs/{world.dry_run.pk}/run/failed",
        lambda world: f"/jobs/{world.dry_run.pk}/run/again",
        lambda world: f"/jobs/{world.lost.pk}/run/failed",
    ),
    "again_on_failed": (lambda _: "/jobs/failed?all=1&q=", lambda _: "/jobs/failed"),
    "devices": (lambda _: "/devices", lambda _: "/devices?find=dist", lambda _: "/devices?find=nothing+like+it"),
    "device": (lambda world: f"/devices/{world.host}", lambda _: f"/devices/{quote(HOSTILE[:60], safe='')}"),
    "locks": (lambda _: "/locks",),
    "clear_lock": (lambda world: f"/locks/clear?name={world.lock}",),
    "timeline": (lambda _: "/timeline",),
    "schedules": (lambda _: "/schedules",),
    "run_schedule": (lambda world: f"/schedules/{world.schedule.pk}/run",),
    "workers": (lambda _: "/workers",),
    "sign_in": (lambda _: "/sign-in",),
}
FOR_STRANGERS: Final = {"sign_in"}
# Parts of pages that scripts fetch, what one takes away, what only takes a POST, and the way to an identity provider.
NO_PAGES: Final = {
    "rows",
    *("raw", "devices_csv", "diffs", "log"),
    "sign_out",
    *("provider", "provider_back"),
}

ADMIN: Final[Mapping[str, Address]] = {
    "front page": lambda _: "/admin/",
    "jobs": lambda _: "/admin/jobs/job/",
    "jobs found": lambda _: "/admin/jobs/job/?q=sync&status=FINISHED",
    "a dry run": lambda world: f"/admin/jobs/job/{world.dry_run.pk}/change/",
    "a running job": lambda world: f"/admin/jobs/job/{world.running.pk}/change/",
    "a waiting job": lambda world: f"/admin/jobs/job/{world.waiting.pk}/change/",
    "a lost job": lambda world: f"/admin/jobs/job/{world.lost.pk}/change/",
    "abort": lambda world: f"/admin/jobs/job/abort/?ids={world.running.pk}",
    "locks": lambda _: "/admin/locks/lock/",
    "clear a lock": lambda world: f"/admin/locks/lock/clear/?name={world.lock}",
    "workers": lambda _: "/admin/jobs/heartbeat/",
    "audit trail": lambda _: "/admin/jobs/auditentry/",
    "schedules": lambda _: "/admin/django_celery_beat/periodictask/",
    "a new schedule": lambda _: "/admin/django_celery_beat/periodictask/add/",
    "a schedule": lambda world: f"/admin/django_celery_beat/periodictask/{world.schedule.pk}/change/",
    "tokens": lambda _: "/admin/knox/authtoken/",
}
