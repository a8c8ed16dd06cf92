"""What each transition writes, and that the loser of a race changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.end_reasons import Failure
from jobs.errors import JobNotAbortable, JobNotFound
from jobs.guarded_status import made_up_states
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import NextJob, Outcome
from jobs.run import Refused, Run
from jobs.states import Milestone, Status
from jobs.task import JobTask
from jobs.testing import exception_of, result_of
from locks import service as locks
from tests import fake_jobs
from tests.factory import claim, claimed, job_in, refused

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]

FAILURE = Failure(type="ValueError", message="it broke")


def test_a_claim_is_exclusive() -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    run = claimed(job)
    assert run.attempt == 1
    assert refused(job).reason == "it is RUNNING"
    job.refresh_from_db()
    assert (job.attempt, job.run_token, job.finished_devices) == (1, run.run_token, "[]")


def test_a_claim_repeated_with_its_token_is_granted_again() -> None:
    job = scheduling.schedule(fake_jobs.with_lock, {})
    run = claimed(job)
    again = claim(job, run_token=run.run_token)
    assert again == run


def test_a_claim_is_never_early() -> None:
    job = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=1))
    assert refused(job).reason == "it is not due yet"
    assert claim(Job(pk=job.pk + 1, task_name=job.task_name)) == Refused(job_id=job.pk + 1, reason="no such job")


def test_a_job_that_is_not_due_is_not_parked() -> None:
    claimed(scheduling.schedule(fake_jobs.with_lock, {}))
    job = scheduling.schedule(fake_jobs.with_lock, {}, at=database_now() + timedelta(hours=1))
    assert refused(job).reason == "another process was first, or it is not due yet"
    job.refresh_from_db()
    assert (job.parked, job.milestones.filter(milestone=Milestone.PARKED.value).exists()) == (False, False)


@pytest.mark.parametrize(
    ("task", "lock_now"), [(fake_jobs.nothing, "devices"), (fake_jobs.with_lock, None), (fake_jobs.with_lock, "other")]
)
def test_a_job_keeps_its_lock_when_a_release_gives_its_task_another(task: JobTask, lock_now: str | None) -> None:
    job = scheduling.schedule(task, {})
    run = transitions.claim(job.pk, task_name=task.name, lock_name=lock_now, run_token=uuid4())
    assert isinstance(run, Run)
    assert run.lock_name == task.lock
    assert [lock.name for lock in locks.held()] == ([task.lock] if task.lock else [])
    assert transitions.finish(run, Outcome(result=None))
    assert not locks.held().exists()


def test_a_claim_by_another_task_is_refused() -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    answer = transitions.claim(job.pk, task_name="tests.fake_jobs.echo", lock_name=None, run_token=uuid4())
    assert not isinstance(answer, Run)
    assert "belongs to task tests.fake_jobs.nothing" in answer.reason


def test_finish_stores_result_lock_and_successor_together() -> None:
    job = scheduling.schedule(fake_jobs.with_lock, {})
    run = claimed(job)
    outcome = Outcome(
        result='{"a": 1}',
        change_score=7,
        finished_devices='["h"]',
        next_job=NextJob(task=fake_jobs.echo, kwargs={"value": 1}),
    )
    assert transitions.finish(run, outcome)
    job.refresh_from_db()
    assert (job.status, job.change_score, job.finished_devices) == (Status.FINISHED, 7, '["h"]')
    assert result_of(job) == {"a": 1}
    assert Job.objects.get(pk=job.next_job_id or 0).function_name == "echo"
    assert not locks.held().exists()
    assert job.run_token is None


def test_a_finish_that_comes_too_late_changes_nothing() -> None:
    job = scheduling.schedule(fake_jobs.with_lock, {})
    run = claimed(job)
    assert transitions.lose(job.pk, run.run_token, type="WorkerLost", message="gone")
    successor = NextJob(task=fake_jobs.nothing, kwargs={})
    assert not transitions.finish(run, Outcome(result='"late"', next_job=successor))
    job.refresh_from_db()
    assert (job.status, job.exception_type, result_of(job)) == (Status.EXCEPTION, "WorkerLost", None)
    assert Job.objects.count() == 1


def test_a_late_finish_does_not_release_the_next_holders_lock() -> None:
    first, second = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(2))
    lost = claimed(first)
    transitions.lose(first.pk, lost.run_token, type="WorkerLost", message="gone")
    holder = claimed(second)
    assert not transitions.finish(lost, Outcome(result=None))
    assert not transitions.fail(lost, FAILURE)
    assert [(lock.holder_id, lock.fence) for lock in locks.held()] == [(second.pk, holder.fence)]
    assert lost.fence is not None
    assert holder.fence == lost.fence + 1


def test_failure_is_stored_with_its_reason_first() -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    transitions.fail(claimed(job), Failure(type="KeyError", message="'x'\x00", args=("'x'\x00", "2"), traceback="tb"))
    job.refresh_from_db()
    stored = exception_of(job)
    assert stored is not None
    assert list(stored) == ["message", "type", "args", "traceback"]
    assert stored["args"][0] == stored["message"] == "'x'\ufffd"


def test_retry_is_the_same_row_with_its_lock_released() -> None:
    job = scheduling.schedule(fake_jobs.with_lock, {})
    due = database_now() + timedelta(minutes=5)
    assert transitions.retry(claimed(job), due=due, reason="later")
    job.refresh_from_db()
    assert (job.status, job.scheduled_time, job.retries, job.attempt) == (Status.SCHEDULED, due, 1, 1)
    assert (job.start_time, job.finished_devices, job.dispatched_at, job.fence) == (None, None, None, None)
    assert not locks.held().exists()
    assert Job.objects.count() == 1


def test_after_an_accepted_abort_there_is_no_way_back_to_scheduled() -> None:
    job = job_in(Status.SCHEDULED, task=fake_jobs.rerun_if_lost)
    run = claimed(job)
    transitions.abort(job.pk, reason="enough", by="ann")
    assert transitions.retry(run, due=0, reason="again")
    job.refresh_from_db()
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "JobAborted")
    other = job_in(Status.RUNNING, task=fake_jobs.rerun_if_lost)
    transitions.abort(other.pk, reason="enough", by="ann")
    assert other.run_token is not None
    assert transitions.lose(other.pk, other.run_token, type="WorkerLost", message="gone")
    other.refresh_from_db()
    assert (other.status, other.exception_type) == (Status.EXCEPTION, "WorkerLost")


def test_a_lost_job_is_run_again_only_if_it_says_so() -> None:
    for task, status in ((fake_jobs.rerun_if_lost, Status.SCHEDULED), (fake_jobs.nothing, Status.EXCEPTION)):
        job = job_in(Status.RUNNING, task=task)
        assert job.run_token is not None
        assert transitions.lose(job.pk, job.run_token, type="WorkerLost", message="celery@test was last seen …")
        job.refresh_from_db()
        assert job.status == status
    for reason in ("TimeLimitExceeded", "MemoryError"):
        job = job_in(Status.RUNNING, task=fake_jobs.rerun_if_lost)
        assert job.run_token is not None
        transitions.lose(job.pk, job.run_token, type=reason, message="too much")
        job.refresh_from_db()
        assert job.exception_type == reason


def test_a_run_is_lost_by_its_own_token() -> None:
    """It was run again meanwhile, and whoever still looks for the run before must not end this one."""
    job = job_in(Status.RUNNING, task=fake_jobs.rerun_if_lost)
    before = job.run_token
    assert before is not None
    assert transitions.lose(job.pk, before, type="WorkerLost", message="gone")
    now = claimed(job)
    assert not transitions.lose(job.pk, before, type="WorkerLost", message="gone")
    job.refresh_from_db()
    assert (job.status, job.run_token) == (Status.RUNNING, now.run_token)


OF_A_RUN = ("dispatched_at", "start_time", "finished_devices", "run_token", "fence", "worker_id", "worker")


@pytest.mark.parametrize("how", ["retried", "lost"])
def test_nothing_of_a_run_stays_in_a_job_that_goes_back_in_line(how: str) -> None:
    job = scheduling.schedule(fake_jobs.rerun_if_lost, {})
    due, run = job.scheduled_time, claim(job, worker_id=7)
    assert isinstance(run, Run)
    if how == "retried":
        assert transitions.retry(run, due=0, reason="later")
    else:
        assert transitions.lose(job.pk, run.run_token, type="WorkerLost", message="gone")
    again = Job.objects.get(pk=job.pk)
    assert [getattr(again, column) for column in OF_A_RUN] == [None] * len(OF_A_RUN)
    assert again.scheduled_time > due  # others came before it


def _park(job: Job) -> None:
    assert isinstance(claim(job), Refused)


def _retry(job: Job) -> None:
    assert transitions.retry(Run.of(job), due=0, reason="later")


def _lose(job: Job) -> None:
    assert job.run_token is not None
    assert transitions.lose(job.pk, job.run_token, type="WorkerLost", message="gone")


WITH_ONE_OF_TWO: dict[str, tuple[JobTask, Status, Callable[[Job], object]]] = {
    "claim": (fake_jobs.nothing, Status.SCHEDULED, claimed),
    "park": (fake_jobs.with_lock, Status.SCHEDULED, _park),
    "cancel": (fake_jobs.nothing, Status.SCHEDULED, lambda job: transitions.cancel(job.pk, FAILURE)),
    "abort": (fake_jobs.nothing, Status.SCHEDULED, lambda job: transitions.abort(job.pk, reason="", by="ann")),
    "ask to stop": (fake_jobs.nothing, Status.RUNNING, lambda job: transitions.abort(job.pk, reason="", by="ann")),
    "finish": (fake_jobs.nothing, Status.RUNNING, lambda job: transitions.finish(Run.of(job), Outcome(result=None))),
    "fail": (fake_jobs.nothing, Status.RUNNING, lambda job: transitions.fail(Run.of(job), FAILURE)),
    "retry": (fake_jobs.nothing, Status.RUNNING, _retry),
    "lose": (fake_jobs.nothing, Status.RUNNING, _lose),
    "run again": (fake_jobs.rerun_if_lost, Status.RUNNING, _lose),
}


@pytest.mark.parametrize("what", WITH_ONE_OF_TWO)
def test_what_is_done_with_one_job_changes_no_other(what: str) -> None:
    task, status, act = WITH_ONE_OF_TWO[what]
    if task.lock is not None:
        claimed(scheduling.schedule(task, {}))
    job, other = job_in(status, task=task), job_in(status, task=task)
    before, others = (Job.objects.values().get(pk=one.pk) for one in (job, other))
    act(job)
    assert Job.objects.values().get(pk=other.pk) == others
    assert Job.objects.values().get(pk=job.pk) != before


def test_abort_of_a_waiting_job_ends_it_at_once() -> None:
    job = transitions.abort(job_in(Status.SCHEDULED).pk, reason="not needed", by="ann")
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "JobAborted")
    stored = exception_of(job)
    assert stored is not None
    assert stored["message"] == "not needed (aborted by ann)"
    assert refused(job).reason == "it is EXCEPTION"
    for_no_reason = transitions.abort(job_in(Status.SCHEDULED).pk, reason="", by="ann")
    assert (exception_of(for_no_reason) or {})["message"] == "(aborted by ann)"


def test_the_first_abort_reason_stays() -> None:
    job = job_in(Status.RUNNING)
    transitions.abort(job.pk, reason="first", by="ann")
    assert transitions.abort(job.pk, reason="second", by="bob").abort_reason == "first (aborted by ann)"


def test_an_ended_or_missing_job_cannot_be_aborted() -> None:
    job = job_in(Status.FINISHED)
    with pytest.raises(JobNotAbortable, match=f"Job id {job.pk} is in state FINISHED, must be SCHEDULED or RUNNING"):
        transitions.abort(job.pk, reason="", by="ann")
    with pytest.raises(JobNotFound, match="No job with id 999 found"):
        transitions.abort(999, reason="", by="ann")
    assert not transitions.cancel(999, FAILURE)  # it was deleted meanwhile


@pytest.mark.parametrize(
    "change",
    [
        {"status": "FINISHED"},
        {"finish_time": "2026-01-01T00:00:00Z"},
        {"status": "RUNNING"},
        {"exception_type": "X"},
        {"parked": True},
        {"change_score": 101},
        {"unapproved": True},
    ],
)
def test_the_database_itself_refuses_what_no_lifecycle_writes(change: dict[str, object]) -> None:
    job = job_in(Status.SCHEDULED)
    with pytest.raises(IntegrityError), transaction.atomic(), made_up_states():
        Job.objects.filter(pk=job.pk).update(**change)
