"""The watermark behind open transactions, which only PostgreSQL has."""

import pytest
from django.db import connections

from jobs.dispatch import scheduling
from jobs.models import Job, Watermark
from jobs.sql import totals
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
