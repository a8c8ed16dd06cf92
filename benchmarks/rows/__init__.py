"""The rows of the table: a name, where it is measured, and what it is about. Loaded when Django is set up."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final

from benchmarks.measure import Line

ROWS: Final[dict[str, tuple[str, str]]] = {
    "execute": ("execute:execute", "queued no-op jobs: Celery + django-db, a bare loop, procrastinate"),
    "execute_locked": ("execute:locked", "the same with a lock, free each time"),
    "execute_devices": ("execute:devices", "the same with 20 devices reported"),
    "schedule": ("schedule:one_by_one", "jobs scheduled one by one"),
    "schedule_many": ("schedule:many", "10,000 jobs scheduled at once"),
    "idle": ("latency:idle", "POST to body on an idle system"),
    "handover": ("latency:handover", "a lock from one job to the next"),
    "lateness": ("due:lateness", "500 jobs due over 20 s"),
    "lone": ("due:lone", "lone jobs due soon on a quiet system"),
    "at_once": ("due:at_once", "100,000 jobs due at one instant"),
    "beat": ("ahead:beat", "Beat's tick and memory with jobs scheduled ahead"),
    "list": ("listing:bare", "GET /jobs against a bare WSGI view"),
    "contains": ("listing:contains", "GET /jobs where most rows match"),
    "drf": ("listing:drf", "GET /jobs against DRF as documented"),
    "big": ("listing:big", "large results: time and memory"),
    "console": ("console:pages", "each page of the console at 1,000,000 jobs and 5,000 devices, against the API"),
    "browser": ("browser:opened", "the same pages in Chromium, on a desk and on a phone, until they are loaded"),
    "sync": ("sync:sync", "dry run and live sync of lab devices"),
    "fleet": ("fleet:shared", "a live sync of 2,000 lab devices that many workers share, and short jobs beside it"),
    "fleet_alone": ("fleet:alone", "a live sync by one process; against another commit's with BASE"),
    "fleet_memory": ("fleet:memory", "memory of each of six processes that share 20,000 devices"),
    "fleet_read": ("fleet_read:read", "lists and jobs with devices; against another commit's with BASE"),
    "fleet_prune": ("fleet_prune:prune", "pruning jobs with 1,000 devices each, and the list meanwhile"),
    "memory": ("memory:child", "memory of a worker child after 50,000 jobs"),
    "upkeep": ("upkeep:steps", "rescue and republish at many jobs"),
    "prune": ("upkeep:prune", "pruning, and the list meanwhile"),
    "feed": ("feed:cost", "jobs with their changes numbered, and without"),
    "events": ("events:latency", "from a commit to the readers of live events"),
    "job_log": ("job_log:cost", "1,000 devices with five lines of log each, and without"),
    "growth": ("growth:growth", "what grows from 1,000 to 1,000,000 jobs"),
}


def load(name: str) -> Callable[[Any], Iterable[Line]]:
    module, _, function = ROWS[name][0].partition(":")
    found: Callable[[Any], Iterable[Line]] = getattr(import_module(f"benchmarks.rows.{module}"), function)
    return found
