"""What a body may ask about its lock: the answer goes by its run's fencing token, not by the holder in the row."""

import threading
from collections.abc import Callable

import pytest
from django.db import connections
from django.db.models import F

from jobs.body.context import JobContext
from jobs.body.job_log import PendingLine
from jobs.end_reasons import EndReason, Failure
from jobs.errors import LockLost
from jobs.lifecycle import transitions
from jobs.models import AuditEntry, Job, JobLog
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.task import job
from locks import service as locks
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claimed
from tests.fleet.parts import in_thread

pytestmark = pytest.mark.django_db(transaction=True)


@job(lock="devices", rerun_if_lost=True)
def runs_again(ctx: JobContext) -> None:
    """The same job, twice: the lock's row names it both times."""


def cleared(run: Run) -> None:
    locks.clear("devices", who="alice", origin="test", user=None)


def taken_over(run: Run) -> None:
    cleared(run)
    claimed(fake_jobs.with_lock.schedule())


def lost_and_run_again(run: Run) -> None:
    transitions.lose(run.job_id, run.run_token, type=EndReason.WORKER_LOST, message="gone")
    again = claimed(Job.objects.get(pk=run.job_id))
    assert (again.job_id, again.fence != run.fence) == (run.job_id, True)
    assert JobContext(again).holds_lock()


def forgotten_and_run_again(run: Run) -> None:
    """A failover forgot its claim, and so gave the same fencing token out again with the next."""
    lost_and_run_again(run)
    Lock.objects.filter(holder_id=run.job_id).update(fence=run.fence)
    Job.objects.filter(pk=run.job_id).update(fence=run.fence)


def gone(run: Run) -> None:
    cleared(run)
    Job.objects.filter(pk=run.job_id).delete()


def under_another_token(run: Run) -> None:
    Lock.objects.filter(holder_id=run.job_id).update(fence=F("fence") + 1)


def test_a_run_holds_its_lock() -> None:
    ctx = JobContext(claimed(runs_again.schedule()))
    assert ctx.holds_lock()
    with ctx.guarded_by_lock():
        AuditEntry.objects.all().delete()


@pytest.mark.parametrize(
    "happens", [cleared, taken_over, lost_and_run_again, forgotten_and_run_again, gone, under_another_token]
)
def test_a_run_that_lost_its_lock_writes_nothing(happens: Callable[[Run], None]) -> None:
    run = claimed(runs_again.schedule())
    ctx = JobContext(run)
    happens(run)
    assert not ctx.holds_lock()
    said = "lock devices was cleared or taken over|this run of job .* was ended by somebody else"
    with pytest.raises(LockLost, match=said), ctx.guarded_by_lock():
        pytest.fail("it may write")


@pytest.mark.usefixtures("each_database")
def test_a_run_that_a_failover_forgot_does_not_free_the_next_ones_lock() -> None:
    run = claimed(runs_again.schedule())
    forgotten_and_run_again(run)
    assert not transitions.finish(run, Outcome(result='"done"'))
    assert not transitions.fail(run, Failure(type="ValueError", message="it broke"))
    assert locks.is_held("devices", holder_id=run.job_id, fence=run.fence)


@pytest.mark.usefixtures("each_database")
def test_what_a_run_has_finished_and_logged_is_shown_as_its_own_and_never_as_the_next_runs() -> None:
    """The next one may be of another job: a restore gives numbers out again."""
    run = claimed(runs_again.schedule())
    ctx = JobContext(run)
    ctx.device_finished("sw1")
    ctx.finished_devices.flush()
    logged = PendingLine(0.0, "INFO", "site", None, "line")
    ctx.log.add(logged)
    ctx.log.flush()
    assert Job.objects.get(pk=run.job_id).finished_devices == '["sw1"]'
    lost_and_run_again(run)
    ctx.device_finished("sw2")
    ctx.finished_devices.flush()
    ctx.log.add(logged)
    ctx.log.close()
    assert Job.objects.get(pk=run.job_id).finished_devices == "[]"
    assert JobLog.objects.filter(job=run.job_id).count() == 1
    ctx.close()


def test_a_job_without_a_lock_holds_none() -> None:
    ctx = JobContext(claimed(fake_jobs.nothing.schedule()))
    assert not ctx.holds_lock()
    with pytest.raises(LockLost), ctx.guarded_by_lock():
        pytest.fail("it may write")


def test_what_fails_under_the_guard_of_the_lock_is_not_written() -> None:
    ctx = JobContext(claimed(runs_again.schedule()))

    def write() -> None:
        with ctx.guarded_by_lock():
            Lock.objects.create(name="other")
            raise ValueError("on second thoughts")

    with pytest.raises(ValueError, match="on second thoughts"):
        write()
    assert not Lock.objects.filter(name="other").exists()


def test_the_threads_of_a_body_open_no_connection_of_their_own() -> None:
    ctx = JobContext(claimed(runs_again.schedule()))

    def write() -> None:
        with ctx.guarded_by_lock():
            AuditEntry.objects.all().delete()

    def left_open() -> list[str]:
        found = []
        for ask in (ctx.checkpoint, ctx.holds_lock, write, ctx.finished_devices.flush, ctx.log.flush):
            ctx.log.add(PendingLine(0.0, "INFO", "site", None, "line"))
            ask()
            found += [f"{ask}" for _ in connections.all(initialized_only=True)]
        return found

    try:
        assert in_thread(left_open)() == []
    finally:
        ctx.log.close()
        ctx.close()
    assert ctx._connection._shared is None


def test_nobody_takes_the_lock_before_what_it_guards_is_over() -> None:
    run = claimed(runs_again.schedule())
    ctx = JobContext(run)

    def clear() -> None:
        try:
            cleared(run)
        finally:
            connections.close_all()

    clearing = threading.Thread(target=clear)
    with ctx.guarded_by_lock():
        clearing.start()
        clearing.join(timeout=0.5)
        assert clearing.is_alive()
        assert ctx.holds_lock()
    clearing.join()
    assert not ctx.holds_lock()
