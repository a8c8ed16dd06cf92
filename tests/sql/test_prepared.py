"""PostgreSQL plans a claim, a finish and a lone INSERT once for each connection."""

import contextlib
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from cnaasjobs.db import prepared
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.task import JobTask
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claim
from tests.services import PostgreSQL, RabbitMQ

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


@pytest.fixture(autouse=True)
def _services(postgresql: PostgreSQL, rabbitmq: RabbitMQ) -> None:
    Lock.objects.create(name="devices")


@contextlib.contextmanager
def statements(count: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as queries:
        yield
    assert len(queries) == count, [query["sql"][:100] for query in queries]


@pytest.mark.parametrize("result", [None, '{"a": "å %s $1"}'])
@pytest.mark.parametrize(("task", "more"), [(fake_jobs.nothing, 0), (fake_jobs.with_lock, 1)])
def test_claim_and_finish_are_prepared_once_for_each_connection(task: JobTask, more: int, result: str | None) -> None:
    def claim_and_finish(*, prepares: bool) -> None:
        job = task.schedule()
        with statements(1 + prepares):
            run = claim(job)
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


@pytest.mark.parametrize("task", [fake_jobs.nothing, fake_jobs.with_lock])
def test_while_there_are_few_jobs_a_claim_and_a_finish_are_planned_each_time(
    task: JobTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table of a few pages PostgreSQL would plan to read all, and keep to that."""
    monkeypatch.setattr(prepared, "MANY", 1000)

    def statements_of_a_way(job_id: int) -> str:
        job = task.schedule()
        Job.objects.filter(pk=job.pk).update(id=job_id)
        job = Job.objects.get(pk=job_id)
        with CaptureQueriesContext(connection) as queries:
            run = claim(job)
            assert isinstance(run, Run)
            assert transitions.finish(run, Outcome(result=None))
        return " ".join(query["sql"] for query in queries)

    few, many = statements_of_a_way(999), statements_of_a_way(1000)
    assert "PREPARE" not in few
    assert "EXECUTE" not in few
    assert "EXECUTE claim" in many
    assert "EXECUTE finish" in many


def test_a_prepared_claim_sees_what_others_have_committed() -> None:
    for _ in range(8):
        job = fake_jobs.with_lock.schedule()
        first = claim(job)
        assert isinstance(first, Run)
        assert isinstance(claim(job), Refused)
        second = fake_jobs.with_lock.schedule()
        assert isinstance(claim(second), Refused)
        assert transitions.lose(job.pk, first.run_token, type="WorkerLost", message="gone")
        assert not transitions.finish(first, Outcome(result="{}"))
        transitions.abort(second.pk, reason="", by="eva")


def test_a_prepared_statement_outlives_a_transaction_that_is_rolled_back() -> None:
    job = fake_jobs.nothing.schedule()
    with transaction.atomic():
        assert isinstance(claim(job), Run)
        transaction.set_rollback(True)
    assert isinstance(claim(job), Run)


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
    prepared._prepared[connection.connection].clear()
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
def test_a_migration_that_changes_a_column_costs_noclaim(in_transaction: bool) -> None:
    """PostgreSQL refuses a prepared statement whose result would have other types than when it was prepared."""
    first, second, third = (fake_jobs.nothing.schedule() for _ in range(3))
    assert isinstance(claim(first), Run)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job ALTER COLUMN comment TYPE varchar(300)")
    try:
        if in_transaction:
            with pytest.raises(OperationalError), transaction.atomic():
                claim(second)
        assert isinstance(claim(second), Run)
        assert isinstance(claim(third), Run)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE jobs_job ALTER COLUMN comment TYPE varchar(255)")
