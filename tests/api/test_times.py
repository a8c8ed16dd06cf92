"""Times as text, and the beginning of a time as a range."""

from datetime import UTC, datetime, timedelta, timezone
from time import tzset

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnaasjobs.api.times import parse_time, time_text, times_beginning

TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES)
def test_a_time_as_text_is_parsed_to_the_same_time(moment: datetime) -> None:
    text = time_text(moment)
    assert text is not None
    assert len(text) == 26
    assert parse_time(text) == moment


@given(TIMES, st.integers(0, 26), TIMES, st.booleans())
def test_a_beginning_matches_exactly_the_times_whose_text_begins_so(
    moment: datetime, length: int, other: datetime, blank: bool
) -> None:
    beginning = str(time_text(moment))[:length]
    first, last = times_beginning(beginning.replace("T", " ") if blank else beginning)
    assert first <= moment <= last
    for time in (first, last, other, moment + timedelta(0)):
        assert (first <= time <= last) == str(time_text(time)).startswith(beginning)
    for edge, step in ((first, -1), (last, 1)):
        try:
            outside = edge + timedelta(microseconds=step)
        except OverflowError:
            continue
        assert not str(time_text(outside)).startswith(beginning)


@given(st.text(alphabet="0123456789-T :.Z+", max_size=27))
def test_no_text_does_more_than_raise_value_error(text: str) -> None:
    for read in (parse_time, times_beginning):
        try:
            read(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24 13:05:00", datetime(2026, 11, 24, 13, 5, tzinfo=UTC)),
        ("2026-11-24T13:05:00Z", datetime(2026, 11, 24, 13, 5, tzinfo=UTC)),
        ("2026-11-24T13:05:00.5", datetime(2026, 11, 24, 13, 5, 0, 500000, tzinfo=UTC)),
        ("2026-11-24T13:05:00+02:00", datetime(2026, 11, 24, 11, 5, tzinfo=UTC)),
        ("2026-11-24T13:05:00-0230", datetime(2026, 11, 24, 15, 35, tzinfo=UTC)),
    ],
)
def test_a_time_is_parsed_in_each_notation(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-11",
        "2026-02-30",
        "2026-11-24T25:00",
        "20261124",
        "2026-W01-1",
        "0001-01-01T00:00+01:00",
        "２026-11-24",
        "now",
    ],
)
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_time(text)


def test_a_time_without_an_offset_is_utc_wherever_the_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Tokyo")
        tzset()
        moment = parse_time("2019-12-05T13:06:03")
    tzset()
    assert moment == datetime(2019, 12, 5, 13, 6, 3, tzinfo=UTC)


def test_a_time_in_another_zone_is_shown_in_utc() -> None:
    assert time_text(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00.000000"
