"""One job whose rows are locked does not keep the others from being rescued, freed, woken or ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from django.db import OperationalError, connection

from cnaasjobs.db.clock import database_now
from jobs.background.one_by_one import OneByOne
from jobs.models import Job
from jobs.upkeep import lines
from locks import service as locks
from locks.models import Lock
from tests import fake_jobs
from tests.factory import Worker, run_on
from tests.services import PostgreSQL
from tests.upkeep.watcher import Watcher


def test_what_failed_comes_last_in_the_next_round() -> None:
    done: list[int] = []

    def do(number: int) -> int:
        if number == 1 and 3 not in done:
            raise ValueError
        done.append(number)
        return 1

    each = OneByOne("a test", do, key=lambda number: number)
    assert each([1, 2]) == 1
    assert each([1, 3]) == 2
    assert done == [2, 3, 1]


def test_a_lost_connection_ends_the_round() -> None:
    lost = OperationalError()
    lost.__cause__ = psycopg2.OperationalError("server closed the connection unexpectedly")

    def do(number: int) -> int:
        raise lost

    with pytest.raises(OperationalError):
        OneByOne("a test", do, key=lambda number: number)([1, 2])


@contextmanager
def _held_up(server: PostgreSQL, lock_name: str) -> Iterator[None]:
    """A transaction that nobody ends, as of a host that is gone, has this lock's row."""
    gone: Any = server.connect()
    gone.cursor().execute("BEGIN; SELECT 1 FROM locks_lock WHERE name = %s FOR UPDATE", [lock_name])
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        yield
    finally:
        gone.close()


@pytest.mark.needs("postgresql")
def test_a_lost_job_is_rescued_beside_one_that_is_held_up(postgresql: PostgreSQL) -> None:
    watcher, worker = Watcher(), Worker()
    stuck, _ = run_on(worker, fake_jobs.with_lock)
    other, _ = run_on(worker, fake_jobs.with_other_lock)
    third, _ = run_on(worker)
    with _held_up(postgresql, "devices"):
        while not watcher.look():
            pass
        statuses = {job.pk: job.status for job in Job.objects.all()}
        assert statuses == {stuck.pk: "RUNNING", other.pk: "EXCEPTION", third.pk: "EXCEPTION"}
    assert watcher.look() == 1
    stuck.refresh_from_db()
    assert stuck.exception_type == "WorkerLost"
    assert not locks.held().exists()


@pytest.mark.needs("postgresql")
def test_a_lock_is_freed_beside_one_that_is_held_up(postgresql: PostgreSQL) -> None:
    Lock.objects.create(name="devices", holder_id=4711, fence=1, start_time=database_now())
    Lock.objects.create(name="other", holder_id=4712, fence=1, start_time=database_now())
    with _held_up(postgresql, "devices"):
        assert lines.free_abandoned() == 1
        assert [lock.name for lock in locks.held()] == ["devices"]
    assert lines.free_abandoned() == 1


@pytest.mark.needs("postgresql")
def test_the_lines_go_on_beside_a_job_that_is_held_up(postgresql: PostgreSQL) -> None:
    for name in ("devices", "other"):
        Lock.objects.create(name=name)
    first, second = fake_jobs.with_lock.schedule(), fake_jobs.with_other_lock.schedule()
    Job.objects.update(parked=True, dispatched_at=None, waiting_since=database_now() - timedelta(days=2))
    gone = postgresql.connect()
    gone.cursor().execute("BEGIN; SELECT 1 FROM jobs_job WHERE id = %s FOR UPDATE", [first.pk])
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        assert lines.wake_first() == 1
        Job.objects.filter(pk=second.pk).update(parked=True, dispatched_at=None)
        assert lines.end_overdue() == 1
        second.refresh_from_db()
        assert second.exception_type == "LockWaitTimeout"
    finally:
        gone.close()
    assert lines.end_overdue() == 1
