"""From the thousandth job on PostgreSQL plans a claim and a finish once for each connection."""

import contextlib
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from cnaasjobs.db.prepared import _prepared
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.task import JobTask
from locks.models import Lock
from tests import fake_jobs
from tests.services import PostgreSQL, RabbitMQ

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


@pytest.fixture(autouse=True)
def _many_jobs(postgresql: PostgreSQL, rabbitmq: RabbitMQ) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('jobs_job', 'id'), 5000)")
    Lock.objects.create(name="devices")


@contextlib.contextmanager
def statements(count: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as queries:
        yield
    assert len(queries) == count, [query["sql"][:100] for query in queries]


def _claim(job: Job, *, likely_lock: str | None = None) -> Run | Refused:
    return transitions.claim(job.pk, task_name=job.task_name, run_token=uuid4(), likely_lock=likely_lock)


@pytest.mark.parametrize("result", [None, '{"a": "å %s $1"}'])
@pytest.mark.parametrize(("task", "more"), [(fake_jobs.nothing, 0), (fake_jobs.with_lock, 1)])
def test_the_way_of_a_job(task: JobTask, more: int, result: str | None) -> None:
    def claim_and_finish(*, prepares: bool) -> None:
        job = task.schedule()
        with statements(1 + prepares):
            run = _claim(job, likely_lock=task.lock)
        assert isinstance(run, Run)
        with statements(1 + prepares + more):  # with a lock: who is next in line?
            assert transitions.finish(run, Outcome(result=result, change_score=7, finished_devices='["sw1"]'))
        assert not transitions.finish(run, Outcome(result=result))
        job = Job.objects.get(pk=job.pk)
        assert (job.status, job.change_score, job.finished_devices) == ("FINISHED", 7, '["sw1"]')
        assert (job.outcome.result if result else None) == result
        assert Lock.objects.get().holder_id is None

    claim_and_finish(prepares=True)
    for _ in range(8):  # from the sixth on PostgreSQL may keep one plan for all
        claim_and_finish(prepares=False)
    connection.close()
    claim_and_finish(prepares=True)


def test_what_others_decided_stands() -> None:
    for _ in range(8):
        job = fake_jobs.with_lock.schedule()
        first = _claim(job, likely_lock="devices")
        assert isinstance(first, Run)
        assert isinstance(_claim(job, likely_lock="devices"), Refused)
        second = fake_jobs.with_lock.schedule()
        assert isinstance(_claim(second, likely_lock="devices"), Refused)
        assert transitions.lose(job.pk, first.run_token, type="WorkerLost", message="gone")
        assert not transitions.finish(first, Outcome(result="{}"))
        transitions.abort(second.pk, reason="", by="eva")


def test_a_prepared_statement_outlives_a_transaction_that_is_rolled_back() -> None:
    job = fake_jobs.nothing.schedule()
    with transaction.atomic():
        assert isinstance(_claim(job), Run)
        transaction.set_rollback(True)
    assert isinstance(_claim(job), Run)


def test_an_insert_is_prepared_once_for_each_connection() -> None:
    for _ in range(2):
        connection.close()
        connection.ensure_connection()
        with statements(2):
            fake_jobs.nothing.schedule()
        with statements(1):
            fake_jobs.nothing.schedule()


def test_a_statement_that_was_prepared_unnoticed_does_no_harm() -> None:
    """A time limit struck between PostgreSQL's PREPARE and our note of it."""
    fake_jobs.nothing.schedule()
    _prepared[connection.connection].clear()
    fake_jobs.nothing.schedule()
    assert Job.objects.count() == 2


def test_an_insert_prepared_in_a_transaction_that_failed_is_kept() -> None:
    connection.close()
    with contextlib.suppress(RuntimeError), transaction.atomic():
        fake_jobs.nothing.schedule()
        raise RuntimeError("rolled back")
    assert not Job.objects.exists()
    with statements(1):
        fake_jobs.nothing.schedule()
    assert Job.objects.count() == 1


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_migration_that_changes_a_column_costs_no_claim(in_transaction: bool) -> None:
    """PostgreSQL refuses a prepared statement whose result would have other types than when it was prepared."""
    first, second, third = (fake_jobs.nothing.schedule() for _ in range(3))
    assert isinstance(_claim(first), Run)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job ALTER COLUMN comment TYPE varchar(300)")
    try:
        if in_transaction:
            with pytest.raises(OperationalError), transaction.atomic():
                _claim(second)
        assert isinstance(_claim(second), Run)
        assert isinstance(_claim(third), Run)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE jobs_job ALTER COLUMN comment TYPE varchar(255)")
