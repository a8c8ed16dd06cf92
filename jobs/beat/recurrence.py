"""When a recurring schedule is due next: computed from its row alone, so that every Beat gets the same answer.

django-celery-beat's entries use the machine's clock and what they remember themselves; see docs/decisions/.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django_celery_beat.models import PeriodicTask

from jobs.beat import crontime

SHORTEST_INTERVAL = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
# The clock may be set back by this much without a fixed time of day firing twice; cron has the same rule.
_SAME_NIGHT = timedelta(hours=3)
_JITTER = timedelta(seconds=1)


class ScheduleBroken(ValueError):
    """A schedule from which no due time can be computed."""


def due_time(row: PeriodicTask, *, since: datetime | None = None) -> datetime | None:
    """The next time (aware) it must fire, in the past if that was missed. None if it never fires again.

    ``since``: when its time of day was changed. Earlier times that the new one would match were not missed.

    Raises:
        ScheduleBroken: it has no schedule, or an invalid one.
    """
    try:
        due = _due_time(row, since)
    except ScheduleBroken:
        raise
    except Exception as exc:
        # django-celery-beat checks a schedule in the admin's forms only: any column may hold anything.
        raise ScheduleBroken(f"{type(exc).__name__}: {exc}") from exc
    if due is not None and row.expires is not None and due >= row.expires:
        return None
    return due


def _due_time(row: PeriodicTask, since: datetime | None) -> datetime | None:
    if row.clocked is not None:
        clocked: datetime = row.clocked.clocked_time
        return max(clocked, row.start_time or clocked)
    if row.interval is not None:
        return _interval_due(row)
    following = _following(row)
    after: datetime = row.last_run_at or row.date_changed
    if row.start_time is not None:
        after = max(after, row.start_time - _TICK)
    if since is not None:
        after = max(after, since)
    return following(after)


def _interval_due(row: PeriodicTask) -> datetime:
    every = timedelta(**{row.interval.period: row.interval.every})
    if every < SHORTEST_INTERVAL:
        raise ScheduleBroken(f"an interval of {every}, less than {SHORTEST_INTERVAL.seconds} s")
    start: datetime | None = row.start_time
    if row.last_run_at is not None:
        due: datetime = row.last_run_at + every
        return max(due, start or due)
    if start is not None and start >= row.date_changed:
        return start
    first: datetime = row.date_changed + every
    return first


def _following(row: PeriodicTask) -> Callable[[datetime], datetime | None]:
    if row.crontab is not None:
        cron = row.crontab.schedule
        return lambda after: crontime.next_time(cron, after)
    if row.solar is not None:
        solar = row.solar.schedule

        def next_event(after: datetime) -> datetime:
            solar.nowfun = lambda: after
            due: datetime = after + solar.remaining_estimate(after)
            return due.astimezone(UTC)

        return next_event
    raise ScheduleBroken("it has no schedule")


def times_of_day(row: PeriodicTask) -> tuple[object, ...]:
    """What determines its times of day; () for a schedule that goes by elapsed time or has only one time."""
    if row.crontab is not None:
        cron = row.crontab
        return (cron.minute, cron.hour, cron.day_of_month, cron.month_of_year, cron.day_of_week, str(cron.timezone))
    if row.solar is not None:
        return (row.solar.event, row.solar.latitude, row.solar.longitude)
    return ()


def ran_in_the_future(row: PeriodicTask, now: datetime) -> bool:
    """The database's clock was set back past its last run. What goes by elapsed time must not pause until then.

    A fixed time of day that has already run does not come again, unless the clock went back further than a clock change
    does.
    """
    if row.last_run_at is None or row.last_run_at <= now:
        return False
    by_elapsed_time = row.interval is not None or (
        row.crontab is not None and crontime.every_hour(row.crontab.schedule)
    )
    allowed = _JITTER if by_elapsed_time else _SAME_NIGHT
    return bool(row.last_run_at > now + allowed)
