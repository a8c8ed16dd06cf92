"""Crontab times over daylight-saving nights, as cron itself does it.

A time in the missing hour fires once, after it; one in the doubled hour fires once, in its first pass. Only a crontab
that runs every hour goes by elapsed time and fires in both passes of the doubled hour: it must not pause for an hour.
Celery's own arithmetic skips the missing time or fires a day early, and uses the machine's clock.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time

from celery.schedules import crontab
from django_celery_beat.tzcrontab import TzAwareCrontab

_SHIFT = timedelta(hours=3)  # no clock change is larger
_SEARCH_DAYS = 366 * 41  # a 29 February on a given weekday may be 40 years away


def next_time(cron: TzAwareCrontab, after: datetime) -> datetime | None:
    """The first time (UTC) after ``after`` that matches the crontab; None if there is none."""
    wall = after.astimezone(cron.tz).replace(tzinfo=None)
    simple = next((candidate for candidate in _wall_times(cron, wall) if candidate > wall), None)
    if simple is None:
        return None
    instant = simple.replace(tzinfo=cron.tz).astimezone(UTC)
    if _is_steady(cron, after) and _is_steady(cron, instant):
        return instant
    return _near_a_change(cron, after, wall)


def _is_steady(cron: TzAwareCrontab, instant: datetime) -> bool:
    """No change of the clock is near."""
    before, later = instant - _SHIFT, instant + _SHIFT
    return bool(before.astimezone(cron.tz).utcoffset() == later.astimezone(cron.tz).utcoffset())


def _near_a_change(cron: TzAwareCrontab, after: datetime, wall: datetime) -> datetime | None:
    """Try everything that the wall clock shows in the hours around it, because that clock may jump."""
    best: datetime | None = None
    enough: datetime | None = None
    for candidate in _wall_times(cron, wall - _SHIFT):
        if enough is not None and candidate > enough:
            break
        for instant in _instants(cron, candidate):
            if instant > after:
                best = instant if best is None else min(best, instant)
                enough = enough or candidate + _SHIFT
    return best


def every_hour(cron: crontab) -> bool:
    return len(cron.hour) == 24


def _wall_times(cron: crontab, start: datetime) -> Iterator[datetime]:
    """The wall clock's readings at which the crontab fires, from the hour of ``start`` on, ascending."""
    hours, minutes = sorted(cron.hour), sorted(cron.minute)
    first = start.date()
    for offset in range(min(_SEARCH_DAYS, (date.max - first).days)):
        day = first + timedelta(days=offset)
        if day.month not in cron.month_of_year or day.day not in cron.day_of_month:
            continue
        if day.isoweekday() % 7 not in cron.day_of_week:
            continue
        for hour in hours:
            if offset == 0 and hour < start.hour:
                continue
            for minute in minutes:
                yield datetime.combine(day, clock_time(hour, minute))


def _instants(cron: TzAwareCrontab, wall: datetime) -> list[datetime]:
    """When the wall clock shows this time. A time in the missing hour is moved later by what is missing."""
    first = wall.replace(tzinfo=cron.tz)
    second = first.replace(fold=1)
    doubled = (first.utcoffset() or timedelta()) > (second.utcoffset() or timedelta())
    passes = [first, second] if doubled and every_hour(cron) else [first]
    return [each.astimezone(UTC) for each in passes]
