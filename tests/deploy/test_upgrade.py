"""An upgrade of the database and its rollback, with jobs in it: what the production docs say of their cost."""

import pytest
from django.core.management import call_command

from jobs.models import Job
from tests.factory import job_row
from tests.services import PostgreSQL

BEFORE = ("jobs", "0005")


def file_of(postgresql: PostgreSQL, table: str) -> int:
    """Another one after the table was written anew."""
    ((number,),) = postgresql.execute("SELECT pg_relation_filenode(%s)", table)
    return int(number)


@pytest.mark.needs("postgresql")
def test_an_upgrade_after_a_rollback_keeps_every_job_and_writes_no_table_of_jobs_anew(postgresql: PostgreSQL) -> None:
    job = job_row("FINISHED", result='{"a": 1}')
    call_command("migrate", *BEFORE, verbosity=0, interactive=False)
    before = file_of(postgresql, "jobs_job")
    call_command("migrate", verbosity=0, interactive=False)
    assert file_of(postgresql, "jobs_job") == before
    assert Job.objects.get(pk=job.pk).outcome.result == '{"a": 1}'


@pytest.mark.needs("postgresql")
def test_a_default_that_differs_from_row_to_row_would(postgresql: PostgreSQL) -> None:
    before = file_of(postgresql, "jobs_job")
    postgresql.execute("ALTER TABLE jobs_job ADD COLUMN of_each_row timestamptz DEFAULT clock_timestamp()")
    assert file_of(postgresql, "jobs_job") != before
