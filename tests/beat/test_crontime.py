"""Crontab times over daylight-saving nights."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.tzcrontab import TzAwareCrontab
from hypothesis import given
from hypothesis import strategies as st

from jobs.beat.crontime import next_time

# 2026: Europe/Stockholm goes from 02:00 to 03:00 on 29 March and from 03:00 to 02:00 on 25 October, both at 01:00 UTC.
STOCKHOLM = "Europe/Stockholm"


def cron(spec: str, zone: str = "UTC") -> TzAwareCrontab:
    minute, hour, day_of_month, month_of_year, day_of_week = spec.split()
    return TzAwareCrontab(
        minute=minute,
        hour=hour,
        day_of_month=day_of_month,
        month_of_year=month_of_year,
        day_of_week=day_of_week,
        tz=ZoneInfo(zone),
    )


def fires(spec: str, zone: str, start: str) -> Iterator[str]:
    """All times from ``start`` (UTC) on, in UTC."""
    now: datetime | None = utc(start)
    schedule = cron(spec, zone)
    while now is not None:
        now = next_time(schedule, now)
        if now is not None:
            yield f"{now:%Y-%m-%d %H:%M}"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_crontab_time_in_the_missing_hour_fires_once_after_it() -> None:
    assert list(islice(fires("30 2 * * *", STOCKHOLM, "2026-03-27 12:00"), 3)) == [
        "2026-03-28 01:30",
        "2026-03-29 01:30",  # 03:30 on the wall: 02:30 is missing
        "2026-03-30 00:30",
    ]


def test_crontab_time_in_the_doubled_hour_fires_once() -> None:
    assert list(islice(fires("30 2 * * *", STOCKHOLM, "2026-10-23 12:00"), 3)) == [
        "2026-10-24 00:30",
        "2026-10-25 00:30",  # the first 02:30 of two
        "2026-10-26 01:30",
    ]


def test_a_missing_time_that_moves_to_one_that_is_there_fires_once_with_it() -> None:
    times = list(islice(fires("30 2,3 * * *", STOCKHOLM, "2026-03-28 12:00"), 3))
    assert times == ["2026-03-29 01:30", "2026-03-30 00:30", "2026-03-30 01:30"]


def test_several_times_in_the_missing_hour_fire_once_each() -> None:
    times = list(islice(fires("*/20 2 * * *", STOCKHOLM, "2026-03-28 12:00"), 4))
    assert times == ["2026-03-29 01:00", "2026-03-29 01:20", "2026-03-29 01:40", "2026-03-30 00:00"]


def test_an_hourly_schedule_goes_on_through_both_nights() -> None:
    spring = list(islice(fires("15 * * * *", STOCKHOLM, "2026-03-28 23:00"), 4))
    assert spring == ["2026-03-28 23:15", "2026-03-29 00:15", "2026-03-29 01:15", "2026-03-29 02:15"]
    autumn = list(islice(fires("15 * * * *", STOCKHOLM, "2026-10-24 23:00"), 4))
    assert autumn == ["2026-10-24 23:15", "2026-10-25 00:15", "2026-10-25 01:15", "2026-10-25 02:15"]
    half = list(islice(fires("10 * * * *", "Australia/Lord_Howe", "2026-10-03 14:00"), 3))
    assert half == ["2026-10-03 14:40", "2026-10-03 15:40", "2026-10-03 16:10"]  # 02:10 is missing, 02:40 in its place


@pytest.mark.parametrize(
    ("zone", "spec", "start", "expected"),
    [
        # midnight itself is missing
        ("America/Santiago", "30 0 * * *", "2026-09-05 12:00", "2026-09-06 04:30"),
        # half an hour is missing, from 02:00 to 02:30
        ("Australia/Lord_Howe", "10 2 * * *", "2026-10-03 00:00", "2026-10-03 15:40"),
        # the missing hour is the last of the day before
        ("America/Nuuk", "30 23 * * 6", "2026-03-28 12:00", "2026-03-29 01:30"),
    ],
)
def test_a_time_in_the_missing_hour_fires_after_it_in_other_zones_too(
    zone: str, spec: str, start: str, expected: str
) -> None:
    assert next(fires(spec, zone, start)) == expected


def test_a_time_that_is_there_comes_before_a_missing_one_that_is_moved_past_it() -> None:
    times = list(islice(fires("10,35 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00"), 3))
    assert times == ["2026-10-03 15:35", "2026-10-03 15:40", "2026-10-04 15:10"]


def test_no_time_comes_after_the_last_day_that_there_is() -> None:
    assert list(fires("0 3 * * *", "UTC", "9999-12-30 12:00")) == []


@pytest.mark.parametrize(
    ("spec", "start", "expected"),
    [
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("0 0 29 2 1", "2026-01-01 00:00", "2044-02-29 00:00"),
        ("0 4 * * 0", "2026-11-24 00:00", "2026-11-29 04:00"),
        ("0 0 31 * *", "2026-11-24 00:00", "2026-12-31 00:00"),
        ("30 12 * * *", "2026-11-24 12:10", "2026-11-24 12:30"),
        ("30 12 * * *", "2026-11-24 12:30", "2026-11-25 12:30"),
        ("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"),
    ],
)
def test_days_months_and_weekdays_are_those_of_the_calendar(spec: str, start: str, expected: str) -> None:
    assert next(fires(spec, "UTC", start)) == expected


@given(
    start=st.integers(0, 2 * 365 * 86400).map(lambda seconds: utc("2026-01-01") + timedelta(seconds=seconds)),
    zone=st.sampled_from([STOCKHOLM, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC"]),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_a_daily_time_fires_once_each_day(start: datetime, zone: str, hour: int, minute: int) -> None:
    schedule, now, days = cron(f"{minute} {hour} * * *", zone), start, []
    for _ in range(20):
        found = next_time(schedule, now)
        assert found is not None
        assert now < found <= now + timedelta(hours=26)
        now = found
        days.append(now.astimezone(ZoneInfo(zone)).date())
    assert [later - earlier for earlier, later in pairwise(days)] == [timedelta(days=1)] * 19
