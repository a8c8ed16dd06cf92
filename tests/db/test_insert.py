"""Rows inserted by our own statements are the same as those that Django inserts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, DataError, transaction

from cnaasjobs.db.clock import DatabaseNow, database_now
from cnaasjobs.db.insert import insert, insert_many
from jobs.models import AuditEntry, Job
from tests.services import PostgreSQL

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]

TIME = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
TEXTS = ["", "plain", "it's", 'a "b" {c,d} %s %%', "back\\slash\n", "NULL", "Ünïcode 🦆"]


def _entry(number: int, **given: object) -> AuditEntry:
    fields: dict[str, object] = {
        "time": TIME + timedelta(seconds=number),
        "who": "olga",
        "origin": "127.0.0.1",
        "action": "scheduled",
        "job_id": number if number % 3 else None,
        "detail": TEXTS[number % len(TEXTS)],
    }
    return AuditEntry(**{**fields, **given})


def _values(entry: AuditEntry) -> tuple[object, ...]:
    return (entry.pk, entry.time, entry.who, entry.origin, entry.action, entry.job_id, entry.lock_name, entry.detail)


def _stored() -> list[tuple[object, ...]]:
    return [_values(entry) for entry in AuditEntry.objects.order_by("id")]


@pytest.mark.parametrize("count", [1, 2, 1000, 2001])
def test_many_rows_keep_their_values_and_their_order(count: int) -> None:
    rows = [_entry(number) for number in range(count)]
    insert_many(rows)
    assert _stored() == [_values(row) for row in rows]
    assert len({row.pk for row in rows}) == count


def test_rows_that_are_all_alike_are_as_many_rows() -> None:
    rows = [_entry(0) for _ in range(7)]
    insert_many(rows)
    assert _stored() == [_values(row) for row in rows]


def test_for_no_rows_no_statement_is_made(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert_many([])


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_one_row_keeps_its_values(number: int) -> None:
    row = _entry(number)
    insert(row)
    assert _stored() == [_values(row)]


def test_the_database_tells_the_time() -> None:
    before, now = database_now(), DatabaseNow()
    one = _entry(1, time=now)
    insert(one)
    insert_many([_entry(number, time=now) for number in range(3)])
    times = AuditEntry.objects.values_list("time", flat=True)
    assert len(times) == 4
    assert all(before <= time <= database_now() for time in times)


def test_an_inserted_row_is_the_stored_one() -> None:
    one, *many = [_entry(number) for number in range(4)]
    insert(one)
    insert_many(many)
    for row in (one, *many):
        row.who = "otto"
        row.save()
    assert AuditEntry.objects.filter(who="otto").count() == 4


def test_one_row_that_does_not_fit_takes_the_others_along() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        insert_many([_entry(number, who=None if number == 1500 else "olga") for number in range(2000)])
    assert not AuditEntry.objects.exists()


@pytest.mark.needs("postgresql")
def test_what_is_too_long_is_an_error(postgresql: PostgreSQL) -> None:
    with pytest.raises(DataError):
        insert(_entry(1, who="x" * 256))
    with pytest.raises(DataError):
        insert_many([_entry(1), _entry(2, who="x" * 256)])
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("count", [1, 2])
def test_a_value_of_another_type_is_the_fields_to_convert(count: int) -> None:
    job = {"scheduled_time": TIME, "task_name": "x", "queue": "default"}
    other: dict[str, Any] = {"rerun_if_lost": 1, "parked": 0, "priority": True, "comment": 7, "retries": "3"}
    jobs = [Job(**job, **other) for _ in range(count)]
    insert(jobs[0]) if count == 1 else insert_many(jobs)
    for stored in Job.objects.all():
        assert (stored.rerun_if_lost, stored.parked, stored.priority, stored.comment) == (True, False, 1, "7")
        assert stored.retries == 3
    assert Job.objects.count() == count
