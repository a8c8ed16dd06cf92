"""When a row is due: every kind of schedule, with its start, end and last run."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from jobs.beat.recurrence import ScheduleBroken, due_time, ran_in_the_future

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def row(**fields: object) -> PeriodicTask:
    return PeriodicTask(**{"name": "schedule", "date_changed": NOON, **fields})


def interval(every: int, period: str = "minutes", **fields: object) -> PeriodicTask:
    return row(interval=IntervalSchedule(every=every, period=period), **fields)


def at_three(**fields: object) -> PeriodicTask:
    return row(crontab=CrontabSchedule(minute="0", hour="3", timezone="UTC"), **fields)


def test_an_interval_counts_from_the_last_run_or_from_when_it_was_made() -> None:
    assert due_time(interval(10)) == NOON + 10 * MINUTE
    assert due_time(interval(10, last_run_at=NOON + HOUR)) == NOON + HOUR + 10 * MINUTE


def test_an_interval_begins_at_its_start_time() -> None:
    assert due_time(interval(10, start_time=NOON + HOUR)) == NOON + HOUR
    assert due_time(interval(10, start_time=NOON - HOUR)) == NOON + 10 * MINUTE
    assert due_time(interval(10, start_time=NOON + HOUR, last_run_at=NOON)) == NOON + HOUR
    assert due_time(interval(10, start_time=NOON, last_run_at=NOON + HOUR)) == NOON + HOUR + 10 * MINUTE


def test_a_crontab_takes_the_first_time_after_all_that_bounds_it() -> None:
    three = NOON.replace(hour=3)
    assert due_time(at_three()) == three + DAY
    assert due_time(at_three(last_run_at=three - DAY)) == three  # missed
    assert due_time(at_three(last_run_at=three - DAY), since=NOON) == three + DAY  # a new time of day was not missed
    assert due_time(at_three(start_time=three + 5 * DAY)) == three + 5 * DAY
    assert due_time(at_three(start_time=three - 5 * DAY)) == three + DAY


def test_a_clocked_schedule_has_one_time() -> None:
    assert due_time(row(clocked=ClockedSchedule(clocked_time=NOON + HOUR))) == NOON + HOUR
    assert due_time(row(clocked=ClockedSchedule(clocked_time=NOON - HOUR))) == NOON - HOUR


def test_a_solar_schedule_follows_the_sun() -> None:
    noon = SolarSchedule(event="solar_noon", latitude=Decimal("59.33"), longitude=Decimal("18.06"))
    due = due_time(row(solar=noon, last_run_at=NOON))
    assert due is not None
    assert abs(due - datetime(2026, 6, 2, 10, 46, tzinfo=UTC)) < 2 * MINUTE


def test_nothing_is_due_once_it_expired() -> None:
    assert due_time(interval(10, expires=NOON + 11 * MINUTE)) == NOON + 10 * MINUTE
    assert due_time(interval(10, expires=NOON + 10 * MINUTE)) is None


@pytest.mark.parametrize(
    "broken",
    [
        row(),
        interval(0),
        interval(-1),
        interval(10**9, "days"),
        interval(1, "fortnights"),
        row(crontab=CrontabSchedule(minute="61", hour="3", timezone="UTC")),
        row(crontab=CrontabSchedule(minute="x", hour="3", timezone="UTC")),
    ],
    ids=["none", "zero", "negative", "endless", "unknown period", "minute 61", "minute x"],
)
def test_a_schedule_that_makes_no_sense_says_so(broken: PeriodicTask) -> None:
    with pytest.raises(ScheduleBroken):
        due_time(broken)


def test_after_the_clock_went_back_intervals_go_on_and_times_of_day_do_not_come_twice() -> None:
    hourly = CrontabSchedule(minute="0", hour="*", timezone="UTC")
    back = NOON - HOUR
    assert ran_in_the_future(interval(10, last_run_at=NOON), back)
    assert ran_in_the_future(row(crontab=hourly, last_run_at=NOON), back)
    assert not ran_in_the_future(at_three(last_run_at=NOON), back)
    assert ran_in_the_future(at_three(last_run_at=NOON), NOON - DAY)
    assert not ran_in_the_future(interval(10, last_run_at=NOON), NOON)
