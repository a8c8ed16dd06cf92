"""Promise 9: the clock of a worker, a Beat or PostgreSQL jumps an hour, forth and back: nothing twice, nothing lost.

The nights of daylight saving are in ``tests/beat/test_nights.py``.
"""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from cnaasjobs.db.clock import database_now
from jobs.dispatch.scheduling import schedule, schedule_many
from jobs.models import Job
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import operate, operate_locked, until
from tests.migrated import migrated_cluster
from tests.needs import libfaketime
from tests.reliability.conftest import Fleet, finished, lives
from tests.reliability.scale import scaled
from tests.services import PostgreSQL, RabbitMQ
from tests.services.base import scratch_directory
from tests.services.processes import Platform
from tests.switching import on_database
from tests.waiting import stays, wait_until

pytestmark = [pytest.mark.needs("postgresql", "rabbitmq", "faketime"), pytest.mark.long]

HOUR = 3600
JUMPS = [HOUR, 0, -HOUR, 0]


class Clock:
    """The wall clock of one process, set by a file; its monotonic clock goes on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.file)  # read at any moment of the next second

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(libfaketime()),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",  # seconds; else each look at any clock, of each wait too, reads the file
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(Path(__file__).parent / "faketime"),
        }


def test_the_clock_of_one_process_jumps(postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet) -> None:
    """Of a worker, then of a Beat, beside others whose clocks are right."""
    of_worker, of_beat = (Clock(fleet.directory / name) for name in ("clock-of-worker", "clock-of-beat"))
    fleet.worker("right_worker")
    fleet.worker("jumping_worker", env=of_worker.env)
    fleet.beat("right_beat")
    fleet.beat("jumping_beat", env=of_beat.env)
    end = fleet.directory / "end"
    lasting = [schedule(until, {"path": str(end)}) for _ in range(2)]
    for job in lasting:
        fleet.wait_for(Event.BEGIN, job)
    jobs = []
    for clock in (of_worker, of_beat):
        for seconds in JUMPS:
            jobs += _some_jobs()
            clock.set(seconds)
            jobs += _some_jobs()
            finished(jobs)
            stays(lambda: all(map(lives, lasting)), seconds=scaled(60))
    end.touch()
    finished(lasting)
    assert set(fleet.begins([*jobs, *lasting]).values()) == {1}


@pytest.fixture
def jumping(run_directory: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[PostgreSQL, Clock]]:
    """A separate, migrated PostgreSQL whose clock the test controls."""
    directory = scratch_directory("clock")
    clock = Clock(directory / "clock")
    server = PostgreSQL(directory, env=clock.env)
    server.begin_with(migrated_cluster(run_directory, django_db_blocker))
    server.database = "kept"
    try:
        server.start()
        with django_db_blocker.unblock(), on_database(server.url):
            yield server, clock
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


def test_the_clock_of_postgresql_jumps(jumping: tuple[PostgreSQL, Clock], rabbitmq: RabbitMQ, scratch: Path) -> None:
    server, clock = jumping
    platform = Platform(database_url=server.url, broker_url=rabbitmq.url, directory=scratch)
    fleet = Fleet(platform, scratch)
    try:
        _postgresql_jumps(fleet, clock)
    finally:
        platform.stop()


def _postgresql_jumps(fleet: Fleet, clock: Clock) -> None:
    fleet.worker()
    fleet.beat()
    end = fleet.directory / "end"
    lasting = schedule(until, {"path": str(end)})
    fleet.wait_for(Event.BEGIN, lasting)
    jobs, left_behind = [], []
    offset = 0
    for seconds in JUMPS:
        before = database_now()
        waiting = _some_jobs() if seconds < offset else []  # written in what will be the future: due when it comes
        clock.set(seconds)
        wait_until(partial(_moved, before, seconds - offset), message="the clock did not jump")
        offset = seconds
        now = _some_jobs()
        finished(now)
        jobs += now
        left_behind += waiting
        stays(lambda: lives(lasting), seconds=scaled(60))
    clock.set(2 * HOUR)  # by now all that was left behind is due
    finished(left_behind)
    end.touch()
    finished([lasting])
    assert set(fleet.begins([*jobs, *left_behind, lasting]).values()) == {1}


def _moved(before: datetime, seconds: int) -> bool:
    """PostgreSQL shows that its clock was set by so much."""
    return abs((database_now() - before).total_seconds() - seconds) < HOUR / 2


def _some_jobs() -> list[Job]:
    """Due now, with and without a lock, and in a moment by the database's clock."""
    soon = database_now() + timedelta(seconds=1)
    later = [schedule(operate, {}, at=soon) for _ in range(3)]
    return [*schedule_many(operate, [{}] * 5), *schedule_many(operate_locked, [{}] * 3), *later]
