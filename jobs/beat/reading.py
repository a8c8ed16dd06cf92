"""Reading recurring schedules, even if a column holds a value that Django can't turn into an object: an invalid time in
SQLite, or one after the year 9999 in PostgreSQL.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask

from cnaasjobs.db.not_now import not_now


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A row that can't be read as a whole, and so is never due."""

    pk: int
    name: str
    task: str
    why: str
    last_run_at: None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    rows: list[PeriodicTask]
    others: list[Unreadable]


def readable(rows: QuerySet[Any]) -> Found:
    """Raises the database's errors that mean "not now"."""
    try:
        return Found(rows=list(rows), others=[])
    except Exception as exc:  # what a driver raises for a value that Python can't hold is each driver's own
        if not_now(exc):
            raise
    found, others = list[PeriodicTask](), list[Unreadable]()
    for pk, name, task in rows.values_list("pk", "name", "task"):
        try:
            found += rows.model.objects.select_related("interval", "crontab", "solar", "clocked").filter(pk=pk)
        except Exception as exc:  # as above
            if not_now(exc):
                raise
            others.append(Unreadable(pk=pk, name=name, task=task, why=f"{type(exc).__name__}: {exc}"))
    return Found(rows=found, others=others)
