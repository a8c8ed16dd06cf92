"""Two PostgreSQL sessions change one job at the same moment: the second waits for the first, then reads it again."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from django.db import connections, transaction

from cnaasjobs.db.clock import database_now
from jobs.end_reasons import Failure
from jobs.lifecycle import transitions
from jobs.models import Job, JobOutcome
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.sql import store
from jobs.states import Status
from jobs.task import JobTask
from locks import service as locks
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claim, claimed
from tests.services import PostgreSQL

pytestmark = pytest.mark.needs("postgresql")

T = TypeVar("T")
FAILURE = Failure(type="JobAborted", message="enough")


@pytest.fixture(autouse=True)
def _lock(postgresql: PostgreSQL) -> None:
    Lock.objects.create(name="devices")


@pytest.fixture
def meanwhile(_lock: None) -> Iterator[Callable[[Callable[[], T]], "Future[T]"]]:
    """Starts a call in a session of its own."""

    def own(call: Callable[[], T]) -> T:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        yield lambda call: threads.submit(own, call)


Meanwhile = Callable[[Callable[[], object]], "Future[object]"]


@pytest.mark.parametrize("task", [fake_jobs.nothing, fake_jobs.with_lock])
def test_a_job_that_is_ended_while_it_is_claimed_is_not_started(
    task: JobTask, postgresql: PostgreSQL, meanwhile: Meanwhile
) -> None:
    job = task.schedule()
    with transaction.atomic():
        transitions.cancel(job.pk, FAILURE)
        answer = meanwhile(lambda: claim(job))
        postgresql.until_blocked()
    assert isinstance(answer.result(10), Refused)
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("EXCEPTION", 0)
    assert not locks.held().exists()


def test_a_job_that_is_claimed_while_it_is_aborted_is_told_to_stop(
    postgresql: PostgreSQL, meanwhile: Meanwhile
) -> None:
    job = fake_jobs.nothing.schedule()
    with transaction.atomic():
        claimed(job)
        answer = meanwhile(lambda: transitions.abort(job.pk, reason="enough", by="ann"))
        postgresql.until_blocked()
    answer.result(10)
    job.refresh_from_db()
    assert (job.status, job.abort_reason) == ("RUNNING", "enough (aborted by ann)")


def test_a_lock_that_comes_free_while_it_is_claimed_is_taken(postgresql: PostgreSQL, meanwhile: Meanwhile) -> None:
    job = fake_jobs.with_lock.schedule()
    Lock.objects.update(holder_id=4711, fence=1, start_time=database_now())
    with transaction.atomic():
        locks.release("devices", holder_id=4711, fence=1)
        answer = meanwhile(lambda: claim(job))
        postgresql.until_blocked()
    assert isinstance(answer.result(10), Run)


def _claim(job: Job) -> Callable[[], object]:
    return lambda: claim(job)


def _finish(job: Job) -> Callable[[], object]:
    run = claimed(job)
    return lambda: transitions.finish(run, Outcome(result='"done"'))


@pytest.mark.parametrize("act", [_claim, _finish])
def test_the_locks_row_is_locked_before_the_jobs(
    act: Callable[[Job], Callable[[], object]], postgresql: PostgreSQL, meanwhile: Meanwhile
) -> None:
    """As in every transaction: two that locked them in different orders would wait for each other forever."""
    job = fake_jobs.with_lock.schedule()
    call = act(job)
    with transaction.atomic():
        locks.locked_row("devices")
        answer = meanwhile(call)
        postgresql.until_blocked()
        Job.objects.select_for_update(nowait=True).get(pk=job.pk)  # raises if it is locked by now
    assert answer.result(10)


def test_a_run_that_is_ended_while_it_finishes_stores_nothing(postgresql: PostgreSQL, meanwhile: Meanwhile) -> None:
    run = claimed(fake_jobs.with_lock.schedule())
    with transaction.atomic():
        assert transitions.fail(run, FAILURE)
        answer = meanwhile(lambda: transitions.finish(run, Outcome(result='"late"')))
        postgresql.until_blocked()
    assert answer.result(10) is False
    assert list(JobOutcome.objects.values_list("result", flat=True)) == [None]
    assert not locks.held().exists()


def test_two_deliveries_of_one_message_start_one_run(meanwhile: Meanwhile) -> None:
    for task in (fake_jobs.nothing, fake_jobs.with_lock) * 10:
        job, both = task.schedule(), Barrier(2)

        def deliver(job: Job = job, both: Barrier = both) -> Run | Refused:
            both.wait(timeout=10)
            return claim(job)

        answers = [future.result(10) for future in [meanwhile(deliver) for _ in range(2)]]
        (run,) = [answer for answer in answers if isinstance(answer, Run)]
        transitions.finish(run, Outcome(result=None))


def test_claims_at_the_same_moment_never_share_a_lock(meanwhile: Meanwhile) -> None:
    for _ in range(30):
        jobs, both = fake_jobs.with_lock.schedule_many([{}, {}]), Barrier(2)

        def claim_at_once(job: Job, both: Barrier = both) -> Run | Refused:
            both.wait(timeout=10)
            return claim(job)

        futures = [meanwhile(lambda job=job: claim_at_once(job)) for job in jobs]  # type: ignore[misc]
        runs = [answer for answer in (future.result(10) for future in futures) if isinstance(answer, Run)]
        assert len(runs) <= 1
        running = Job.objects.filter(status=Status.RUNNING.value).values_list("pk", flat=True)
        assert list(running) == [lock.holder_id for lock in locks.held()]
        for run in runs:
            transitions.finish(run, Outcome(result=None))
        for job in jobs:
            late = claim(job)
            if isinstance(late, Run):
                transitions.finish(late, Outcome(result=None))
    assert not Job.objects.exclude(status=Status.FINISHED.value).exists()


def test_what_one_beat_takes_another_leaves(meanwhile: Meanwhile) -> None:
    due = [job.pk for job in fake_jobs.nothing.schedule_many([{}] * 6)]
    Job.objects.update(dispatched_at=None)
    with transaction.atomic():
        mine = store().take_due(2)
        others = meanwhile(lambda: store().take_due(2)).result(10)  # without waiting for this transaction
    assert [job.job_id for job in mine] == due[:2]
    assert [job.job_id for job in others] == due[2:4]  # type: ignore[attr-defined]
