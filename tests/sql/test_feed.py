"""The change feed on each database: every change is reported once, however it was written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from cnaasjobs.db.insert import insert, insert_many
from jobs.guarded_status import made_up_states
from jobs.models import Job
from jobs.sql import store
from jobs.sql.position import Change, Kind, Look, Position
from jobs.states import Status
from locks import service as locks
from locks.models import Lock
from tests import fake_jobs
from tests.factory import job_in, job_row

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


def fresh() -> Job:
    return Job(scheduled_time=job_row().scheduled_time, function_name="f", task_name="t", queue="default")


def without_open(look: Look) -> Look:
    """Without the transactions that other tests have open on the same server."""
    return look._replace(position=look.position._replace(open=()))


@contextmanager
def told() -> Iterator[list[Change]]:
    """What a reader hears of that which happens inside."""
    changes: list[Change] = []
    position = store().position()
    assert Position.parse(str(position)) == position
    yield changes
    look = store().look(position, 1000)
    assert look.changes is not None
    changes += look.changes
    assert without_open(store().look(look.position, 1000)) == without_open(Look([], look.position))


def of(*jobs: Job) -> list[Change]:
    return [Change(Kind.JOB, job.pk) for job in jobs]


def made_by_save(rows: list[Job]) -> None:
    for row in rows:
        row.save()


def made_by_bulk_create(rows: list[Job]) -> None:
    with made_up_states():
        Job.objects.bulk_create(rows)


def made_by_insert(rows: list[Job]) -> None:
    for row in rows:
        insert(row)


@pytest.mark.parametrize("make", [made_by_save, made_by_bulk_create, made_by_insert, insert_many])
def test_a_new_row_is_told_whichever_way_it_was_inserted(make: Callable[[list[Job]], None]) -> None:
    rows = [fresh() for _ in range(3)]
    with told() as changes:
        make(rows)
    assert changes == of(*rows)


def written_by_save(job: Job) -> None:
    job.comment = "other"
    with made_up_states():
        job.save()


def written_by_update(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(comment="other")


def written_by_hand(job: Job) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET comment = 'other' WHERE id = %s", [job.pk])


@pytest.mark.parametrize("write", [written_by_save, written_by_update, written_by_hand])
def test_a_row_that_changed_is_told_whoever_wrote_it(write: Callable[[Job], None]) -> None:
    job, _other = job_row(), job_row()
    job.refresh_from_db()
    with told() as changes:
        write(job)
    assert changes == of(job)


def test_nobody_writes_the_number_but_the_database() -> None:
    stale = Job.objects.get(pk=job_row().pk)
    before = stale.change
    Job.objects.filter(pk=stale.pk).update(comment="later")
    with told() as changes, made_up_states():
        stale.save()
    assert changes == of(stale)
    assert Job.objects.values_list("change", flat=True).get(pk=stale.pk) > before


def test_a_job_that_changed_twice_is_told_once() -> None:
    with told() as changes:
        job = job_in(Status.FINISHED)
    assert changes == of(job)


def test_a_lock_is_told_when_it_changes_hands() -> None:
    lock = Lock.objects.create(name="devices")
    with told() as changes:
        job = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    assert sorted(changes) == sorted([*of(job), Change(Kind.LOCK, lock.pk)])
    with told() as changes:
        locks.clear("devices", who="ann", origin="here", user=None)
    assert Change(Kind.LOCK, lock.pk) in changes


def test_what_was_rolled_back_or_deleted_is_not_told() -> None:
    kept, gone = job_row(), job_row()
    with told() as changes:
        with transaction.atomic():
            Job.objects.filter(pk=kept.pk).update(comment="never")
            transaction.set_rollback(True)
        Job.objects.filter(pk=gone.pk).update(comment="soon gone")
        store().delete([gone.pk])
    assert changes == []


def test_one_who_is_too_far_behind_must_load_again() -> None:
    rows = [fresh() for _ in range(4)]
    position = store().position()
    insert_many(rows)
    assert store().look(position, 4).changes == of(*rows)
    late = store().look(position, 3)
    assert without_open(late) == without_open(Look(None, store().position()))


def test_another_feeds_position_and_one_ahead_must_load_again() -> None:
    job_row()
    position = store().position()
    for foreign in (position._replace(feed="abcd"), position._replace(top=position.top + 1000)):
        assert without_open(store().look(foreign, 1000)) == without_open(Look(None, position))


def test_an_empty_table_has_a_position_too() -> None:
    Job.objects.all().delete()
    with told() as changes:
        job = job_row()
    assert changes == of(job)


@pytest.mark.parametrize("position", [Position("0", 0), Position("ab12", 17), Position("ab12", 17, (3, 9))])
def test_a_position_is_a_text(position: Position) -> None:
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    "text", ["", "17", "ab.", "ab.1-", "xy.1", "ab.1-x", "ab.٣", "ab.1" + "-2" * 41, "ab." + "9" * 30]
)
def test_another_text_is_no_position(text: str) -> None:
    assert Position.parse(text) is None
