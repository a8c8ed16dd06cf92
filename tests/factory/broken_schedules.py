"""Rows of django-celery-beat that its forms would have refused, each named "broken", and due if they mean anything."""

from collections.abc import Callable

from django.db import connection
from django.db.models import Model
from django_celery_beat.models import PeriodicTask, SolarSchedule

from tests.factory.schedules import NOTHING, ago, at, daily, every


def write(row: Model, column: str, value: str | int | None) -> None:
    """Written without the models, as an import does."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {row._meta.db_table} SET {column} = %s WHERE id = %s", [value, row.pk])


def crontab(column: str, value: str) -> PeriodicTask:
    row = daily(3, name="broken", last_run_at=ago(days=2))
    assert row.crontab is not None
    write(row.crontab, column, value)
    return row


def interval(column: str, value: str | int | None) -> PeriodicTask:
    row = every(61, name="broken", last_run_at=ago(days=2))
    assert row.interval is not None
    write(row.interval, column, value)
    return row


def _solar(column: str, value: str | int | None) -> PeriodicTask:
    solar = SolarSchedule.objects.create(event="sunset", latitude=59, longitude=18)
    row = PeriodicTask.objects.create(name="broken", task=NOTHING, solar=solar, last_run_at=ago(days=2))
    write(solar, column, value)
    return row


def row_with(column: str, value: str | int | None) -> PeriodicTask:
    row = every(61, name="broken", last_run_at=ago(days=2))
    write(row, column, value)
    return row


def _clocked_long_ago() -> PeriodicTask:
    return at(ago(days=3650), name="broken")


def unreadable() -> PeriodicTask:
    """A value that no driver can turn into an object."""
    return row_with("start_time", "2026-13-45 00:00:00" if connection.vendor == "sqlite" else "20000-01-01")


BROKEN: dict[str, Callable[[], PeriodicTask]] = {
    "a zone that this machine does not know": lambda: crontab("timezone", "Mars/Olympus"),
    "a folder of zones": lambda: crontab("timezone", "Europe"),
    "a path for a zone": lambda: crontab("timezone", "../../etc/passwd"),
    "invalid minutes": lambda: crontab("minute", "99"),
    "words for minutes": lambda: crontab("minute", "often"),
    "a day that never comes": lambda: crontab("day_of_month", "32"),
    "an invalid period": lambda: interval("period", "fortnights"),
    "an interval of nothing": lambda: interval("every", 0),
    "an interval before the beginning": lambda: interval("every", -2_000_000_000),
    "an invalid event of the sun": lambda: _solar("event", "eclipse"),
    "a place outside the earth": lambda: _solar("latitude", 123),
    "arguments that are not JSON": lambda: row_with("kwargs", "{'value': 1}"),
    "arguments nested without end": lambda: row_with("kwargs", "[" * 100_000),
    "arguments nested deeper than a job takes": lambda: row_with("kwargs", f'{{"value": {"[" * 600}{"]" * 600}}}'),
    "arguments that are a list": lambda: row_with("kwargs", "[]"),
    "arguments that do not fit": lambda: row_with("kwargs", '{"nonsense": 1}'),
    "a task that nobody knows": lambda: row_with("task", "gone.task"),
    "headers that are not JSON": lambda: row_with("headers", "{"),
    "a priority beyond all": lambda: row_with("priority", 2_000_000_000),
    "no schedule": lambda: row_with("interval_id", None),
    "a clock that has struck": _clocked_long_ago,
}
