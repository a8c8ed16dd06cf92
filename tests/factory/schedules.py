"""Recurring schedules for tests, as the admin saves them."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from cnaasjobs.db.clock import database_now
from tests import fake_jobs

NOTHING = fake_jobs.nothing.name


def every(seconds: int, *, name: str = "often", task: str = NOTHING, **fields: Any) -> PeriodicTask:
    interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
    return PeriodicTask.objects.create(name=name, task=task, interval=interval, **fields)


def daily(hour: int, minute: int = 0, *, zone: str = "UTC", name: str = "daily", **fields: Any) -> PeriodicTask:
    crontab, _ = CrontabSchedule.objects.get_or_create(hour=str(hour), minute=str(minute), timezone=ZoneInfo(zone))
    return PeriodicTask.objects.create(name=name, task=fields.pop("task", NOTHING), crontab=crontab, **fields)


def at(when: datetime, *, name: str = "once", **fields: Any) -> PeriodicTask:
    clocked = ClockedSchedule.objects.create(clocked_time=when)
    return PeriodicTask.objects.create(
        name=name, task=fields.pop("task", NOTHING), clocked=clocked, one_off=True, **fields
    )


def ago(**delta: float) -> datetime:
    return database_now() - timedelta(**delta)


def by(name: str) -> str:
    """``scheduled_by`` of a job of this schedule, which nobody owns."""
    return f"schedule {name} (nobody)"
