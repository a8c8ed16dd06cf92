"""The watermark behind open transactions, which only PostgreSQL has."""

import pytest
from django.db import connections

from jobs.dispatch import scheduling
from jobs.models import Job, Watermark
from jobs.sql import store, totals
from tests import fake_jobs
from tests.services import PostgreSQL


@pytest.mark.needs("postgresql")
def test_an_open_transaction_holds_the_watermark_back(postgresql: PostgreSQL) -> None:
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('jobs_job', 'id'))")
            reserved = cursor.fetchone()[0]
        scheduling.schedule_many(fake_jobs.nothing, [{}] * 5)
        for _ in range(3):
            totals.advance()
        assert Watermark.objects.get().below <= reserved
        assert totals.total(Job.objects.all()) == 5
        other.rollback()
        for _ in range(3):
            totals.advance()
        assert Watermark.objects.get().below > reserved
        assert totals.total(Job.objects.all()) == 5
    finally:
        other.close()


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("takes", ["a snapshot", "a number"])  # a statement that inserts has the first before the other
def test_a_transaction_is_open_from_its_first_snapshot_on(takes: str, postgresql: PostgreSQL) -> None:
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            if takes == "a snapshot":
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT 1" if takes == "a snapshot" else "SELECT pg_current_xact_id()")
        number = store().transaction_number()
        assert number is not None
        in_the_next_epoch = number + 2**32
        for each in (number, in_the_next_epoch):
            assert not store().all_before_have_ended(each)
        other.rollback()
        for each in (number, in_the_next_epoch):
            assert store().all_before_have_ended(each)
    finally:
        other.close()
