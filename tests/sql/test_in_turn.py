"""Runs that hold a lock in turn: their stored times don't overlap, however long a claim has waited."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction

from cnaasjobs.db import prepared
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.sql import execute, store
from jobs.sql.signature import Claimant
from locks.models import Lock
from tests import fake_jobs
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


def _claimed(job: Job) -> Run:
    run = store().claim(job.pk, job.task_name, Claimant(uuid4(), 7, "celery@w1"), lock_name=job.lock_name)
    assert run is not None
    return run


def _nobody_else_takes_a_lock() -> None:
    """Until the end of this transaction. On SQLite nobody else writes."""
    if connection.vendor == "postgresql":
        execute.change(f"LOCK TABLE {Lock._meta.db_table}", ())


def _a_claim_waits() -> bool:
    """SQLite does not say who waits; there a claim does from its first statement on."""
    return connection.vendor == "sqlite" or bool(execute.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))


def test_a_run_starts_after_the_end_of_the_one_that_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MANY", 10**9)  # planned each time, a claim looks at the rows after it has waited
    Lock.objects.create(name="devices")
    first, second = fake_jobs.with_lock.schedule_many([{}, {}])
    run, begins = _claimed(first), Event()

    def heard(execute: Any, *statement: Any) -> Any:
        begins.set()
        return execute(*statement)

    def claim() -> Run:
        try:
            with connection.execute_wrapper(heard):
                return _claimed(second)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            _nobody_else_takes_a_lock()
            waits = pool.submit(claim)
            assert begins.wait(10)
            wait_until(_a_claim_waits)
            assert store().finish(run, Outcome(result=None), next_job_id=second.pk)
        assert waits.result(10).job_id == second.pk
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.finish_time is not None
    assert second.start_time is not None
    assert first.finish_time <= second.start_time
    assert Lock.objects.get(name="devices").start_time == second.start_time
