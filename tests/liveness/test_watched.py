"""A process whose counter grows is alive, by the watching process's own clock."""

from datetime import UTC, datetime, timedelta

from jobs.liveness.watched import Watched

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def alive(watched: Watched, now: float, counter: int, *, age: float) -> bool:
    return bool(watched.alive([(1, counter, NOON - timedelta(seconds=age))], now=now, database_time=NOON))


def test_unwatched_is_judged_by_the_databases_clock() -> None:
    assert alive(Watched(), 0, 1, age=9)
    assert not alive(Watched(), 0, 1, age=11)


def test_a_counter_that_stands_still_for_10_seconds_is_dead_whatever_the_clock_says() -> None:
    watched = Watched()
    assert alive(watched, 0, 1, age=0)
    assert alive(watched, 9, 1, age=0)
    assert not alive(watched, 11, 1, age=0)
    assert not alive(watched, 12, 1, age=-3600)
    assert alive(watched, 13, 2, age=3600)


def test_a_clock_that_jumps_an_hour_while_watched_changes_nothing() -> None:
    watched = Watched()
    for second in range(0, 60, 5):
        assert alive(watched, second, second, age=0 if second < 30 else 3600)


def test_after_a_long_pause_growth_alone_says_nothing() -> None:
    watched = Watched()
    assert alive(watched, 0, 1, age=0)
    assert not alive(watched, 100, 9, age=50)
    assert alive(watched, 105, 10, age=50)
