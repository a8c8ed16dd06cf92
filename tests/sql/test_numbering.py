"""Who numbers a change on PostgreSQL: frequent statements do so themselves, a trigger does it for the rest."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from django.db import connection

from cnaasjobs.db.changes import number_changes
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.sql import store
from jobs.task import JobTask
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claim
from tests.services import PostgreSQL

pytestmark = pytest.mark.needs("postgresql")

TABLES = ["jobs_job", "locks_lock"]


@contextmanager
def triggers_that_refuse() -> Iterator[None]:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {table}_change() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'the statement wrote no number'; END $$"
            )
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for table in TABLES:
                number_changes(table, editor)


@pytest.mark.parametrize("task", [fake_jobs.nothing, fake_jobs.with_lock])
def test_what_each_job_does_writes_its_number_itself(postgresql: PostgreSQL, task: JobTask) -> None:
    """Else its row is written twice."""
    Lock.objects.create(name="devices")
    job = task.schedule()
    Job.objects.filter(pk=job.pk).update(dispatched_at=None)
    with triggers_that_refuse():
        assert [taken.job_id for taken in store().take_due(1)] == [job.pk]
        run = claim(job)
        assert isinstance(run, Run)
        assert store().finish(run, Outcome(result="{}"), next_job_id=None)
        with pytest.raises(Exception, match="wrote no number"):
            Job.objects.filter(pk=job.pk).update(comment="x")


def test_what_another_program_writes_is_numbered_whatever_schemas_it_looks_at(postgresql: PostgreSQL) -> None:
    job = fake_jobs.nothing.schedule()
    position = store().position()
    with closing(postgresql.connect()) as session, session.cursor() as cursor:
        cursor.execute("SET search_path = ''")
        cursor.execute("UPDATE public.jobs_job SET comment = 'by hand', change = 7 WHERE id = %s", [job.pk])
    assert [change.id for change in store().look(position, 10).changes or ()] == [job.pk]
