"""The rows of the table: a name, where it is measured, and what it is about. Loaded when Django is set up."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final

from benchmarks.measure import Line

ROWS: Final[dict[str, tuple[str, str]]] = {
    "execute": ("execute:execute", "queued no-op jobs: Celery + django-db, a bare loop, procrastinate"),
    "execute_locked": ("execute:locked", "the same with a lock, free each time"),
    "execute_devices": ("execute:devices", "the same with 20 devices reported"),
}


def load(name: str) -> Callable[[Any], Iterable[Line]]:
    module, _, function = ROWS[name][0].partition(":")
    found: Callable[[Any], Iterable[Line]] = getattr(import_module(f"benchmarks.rows.{module}"), function)
    return found
