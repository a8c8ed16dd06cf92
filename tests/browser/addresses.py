"""Where each page is opened: a row for each name in the console's map of URLs, and for our pages in the admin."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.browser.world import World

Address = Callable[[World], str]

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
