"""How a body ends, run in-process the way a worker runs it."""

import contextlib
import json
import logging
import threading
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.end_reasons import EndReason
from jobs.errors import JobStopped
from jobs.fleet.ends import Left
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import approve, assert_scheduled, exception_of, perform, perform_job, result_of
from locks import service as locks
from tests import fake_jobs
from tests.factory import claimed
from tests.fake_jobs.ends import end_badly

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("returned", "stored"),
    [
        ({"b": 1, "a": 2}, '{"b": 1, "a": 2}'),
        (["x"], '["x"]'),
        ("é\n", '"é\\n"'),
        (3, '{"message": "3"}'),
        (2.5, '{"message": "2.5"}'),
        (True, '{"message": "true"}'),
    ],
)
def test_a_result_is_stored_as_json_text(returned: object, stored: str) -> None:
    job = perform_job(fake_jobs.echo, value=returned)
    assert (job.status, job.outcome.result) == (Status.FINISHED, stored)


def test_a_body_that_returns_nothing_has_the_result_null() -> None:
    job = perform_job(fake_jobs.nothing)
    assert (job.status, result_of(job), job.finished_devices) == (Status.FINISHED, None, "[]")


@pytest.mark.parametrize(
    ("how", "type_"),
    [
        ("bytes", "ResultNotStorable"),
        ("nan", "ResultNotStorable"),
        ("nul", "ResultNotStorable"),
        ("surrogate", "ResultNotStorable"),
        ("object", "ResultNotStorable"),
        ("recursion", "ResultNotStorable"),
        ("bad_score", "ResultNotStorable"),
        ("bool_score", "ResultNotStorable"),
        ("unpicklable", "UnpicklableError"),
        ("unshowable", "UnshowableError"),
        ("system_exit", "BodyExited"),
        ("keyboard_interrupt", "BodyExited"),
        ("memory_error", "BodyExited"),
        ("ignore", "BodyExited"),
        ("reject", "BodyExited"),
    ],
)
def test_a_body_that_ends_badly_still_ends_its_job(how: str, type_: str) -> None:
    job = perform_job(end_badly, how=how)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, type_)
    stored = exception_of(job)
    assert stored is not None
    assert stored["args"][0]


def test_an_exception_is_kept_with_its_traceback() -> None:
    stored = exception_of(perform_job(fake_jobs.raise_error, message="no such port"))
    assert stored is not None
    assert (stored["type"], stored["message"], stored["args"]) == ("ValueError", "no such port", ["no such port"])
    assert "in raise_error" in stored["traceback"]


def test_an_exception_of_any_length_is_shown_in_part() -> None:
    stored = exception_of(perform_job(fake_jobs.raise_error, message="x" * 1_000_000))
    assert stored is not None
    assert stored["message"] == stored["args"][0] == f"{'x' * 100_000}… and 900000 more characters"
    assert "in raise_error" in stored["traceback"]
    assert len(stored["traceback"]) < 110_000


def test_finished_devices_are_complete_at_the_end_in_their_order() -> None:
    job = perform_job(fake_jobs.report_devices, devices=["b", "a", "c"])
    assert json.loads(job.finished_devices or "") == ["b", "a", "c"]
    assert job.change_score == 3


def test_celerys_retry_stays_one_job() -> None:
    job = scheduling.schedule(fake_jobs.retry_twice, {"succeed_on": 3})
    for attempt in (1, 2):
        perform(job)
        assert (job.status, job.attempt, job.retries) == (Status.SCHEDULED, attempt, attempt)
    perform(job)
    assert (job.status, result_of(job), Job.objects.count()) == (Status.FINISHED, "attempt 3", 1)


def test_a_retry_too_many_ends_with_the_bodys_own_exception() -> None:
    job = scheduling.schedule(fake_jobs.retry_twice, {})
    for _ in range(3):
        perform(job)
    assert (job.status, job.exception_type, job.attempt) == (Status.EXCEPTION, "ConnectionError", 3)


def test_a_retry_by_hand_comes_back_when_it_said() -> None:
    job = perform_job(fake_jobs.retry_by_hand, countdown=3600)
    assert job.status == Status.SCHEDULED
    assert job.scheduled_time - database_now() > timedelta(minutes=59)
    assert perform(job).status == Status.SCHEDULED  # never early
    assert result_of(perform(job, early=True)) == "attempt 2"


@job
def asks_for_another_attempt(ctx: JobContext, *, hours: int | None) -> None:
    if hours is None:
        ctx.retry(exc=ConnectionError("it stays away"), max_retries=0)
    ctx.retry(eta=database_now() + timedelta(hours=hours))


def test_a_retry_by_hand_says_until_when_and_how_often() -> None:
    assert perform_job(asks_for_another_attempt, hours=None).exception_type == "ConnectionError"
    later = perform_job(asks_for_another_attempt, hours=2)
    assert later.status == Status.SCHEDULED
    assert later.scheduled_time - database_now() > timedelta(minutes=119)


def test_a_job_that_waits_for_a_second_person_runs_when_it_is_approved() -> None:
    job = perform_job(fake_jobs.guarded)
    assert job.status == Status.SCHEDULED
    assert perform(approve(job)).status == Status.FINISHED
    with pytest.raises(AssertionError, match="does not wait for approval"):
        approve(job)


@job(autoretry_for=(Exception,))
def of_another_version(ctx: JobContext, *, hosts: list[str]) -> None:
    """Its jobs were scheduled with other arguments."""


@pytest.mark.parametrize("arguments", ["{}", '{"hosts": [], "site": "north"}'])
def test_arguments_that_the_body_does_not_take_end_the_job_at_once(arguments: str) -> None:
    row = of_another_version.schedule(hosts=[])
    Job.objects.filter(pk=row.pk).update(start_arguments=arguments)
    row = perform(row)
    assert (row.status, row.exception_type) == (Status.EXCEPTION, "JobArgumentError")


@job
def swallows_its_retry(ctx: JobContext) -> str:
    with contextlib.suppress(Exception):
        ctx.retry(countdown=3600)
    return "it went on"


def test_a_retry_counts_though_the_body_catches_whatever_is_raised() -> None:
    assert perform_job(swallows_its_retry).status == Status.SCHEDULED
    with pytest.raises(RuntimeError, match="only be called in a running body"):
        JobContext(claimed(fake_jobs.nothing.schedule())).retry()


def test_an_unclaimed_body_does_not_run(caplog: pytest.LogCaptureFixture) -> None:
    job = perform_job(fake_jobs.nothing)
    assert perform(job).attempt == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]  # such a message is no fault
    with pytest.raises(TypeError, match=r"fake_jobs.nothing is a job: start it with its schedule\(\)"):
        fake_jobs.nothing()


def test_a_thread_left_behind_is_waited_for_before_the_lock_is_free() -> None:
    job = perform_job(fake_jobs.threads_left_behind, seconds=0.3)
    assert job.finish_time is not None
    assert job.start_time is not None
    assert (job.finish_time - job.start_time).total_seconds() >= 0.3


@job
def abandons_a_thread(ctx: JobContext) -> None:
    thread = threading.Thread(target=may_end.wait, args=[30])
    thread.start()
    ctx.abandon(thread)
    threading.Thread(target=may_end.wait, args=[30], daemon=True).start()


may_end = threading.Event()


def test_a_thread_that_was_there_before_or_that_hangs_is_not_waited_for() -> None:
    may_end.clear()
    before = threading.Thread(target=may_end.wait, args=[30])
    before.start()
    assert perform_job(abandons_a_thread).status == Status.FINISHED
    assert before.is_alive()
    may_end.set()
    before.join()


told: list[str] = []
contexts: list[JobContext] = []


@job
def leaves_a_thread(ctx: JobContext, *, ends: str) -> None:
    def goes_on() -> None:
        try:
            for _ in range(100):
                ctx.next_stop(0.05)
                ctx.checkpoint()
        except JobStopped as reason:
            threading.Event().wait(0.2)  # it is still at its device
            told.append(type(reason).__name__)

    threading.Thread(target=goes_on).start()
    contexts.append(ctx)
    if ends == "soft limit":
        raise SoftTimeLimitExceeded(5)


@pytest.mark.parametrize(
    ("ends", "end", "reason"),
    [("well", "", "LockLost"), ("soft limit", EndReason.TIME_LIMIT_EXCEEDED, "TimeLimitExceeded")],
)
def test_a_thread_left_behind_is_told_to_stop(ends: str, end: str, reason: str) -> None:
    told.clear()
    ended = perform_job(leaves_a_thread, ends=ends)
    assert ((ended.exception_type or ""), told) == (end, [reason])
    assert contexts.pop()._connection._closed


def test_the_successor_is_scheduled_with_the_finish() -> None:
    job = perform_job(fake_jobs.successor)
    successor = assert_scheduled(fake_jobs.echo, value=2)
    assert (job.next_job_id, successor.comment, job.function_name) == (successor.pk, "follows", "named_otherwise")


def test_a_successor_that_cannot_be_scheduled_ends_the_job_and_leaves_none() -> None:
    job = perform_job(fake_jobs.bad_successor)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "JobArgumentError")
    assert Job.objects.count() == 1


@job
def leaves(ctx: JobContext) -> None:
    raise Left


def test_a_body_that_leaves_stores_nothing_of_an_end_and_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    row = perform_job(leaves)
    assert (row.status, exception_of(row)) == (Status.RUNNING, None)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_body_told_to_stop_ends_at_its_safe_point() -> None:
    job = scheduling.schedule(fake_jobs.with_lock, {})
    original = fake_jobs.with_lock.run

    def aborted_meanwhile(ctx: object, **kwargs: object) -> object:
        transitions.abort(job.pk, reason="enough", by="ann")
        return original(ctx, **kwargs)

    fake_jobs.with_lock.run = aborted_meanwhile
    try:
        perform(job)
    finally:
        fake_jobs.with_lock.run = original
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "JobAborted")
    assert "direct cause" not in str(exception_of(job))  # the body let it pass: its traceback says it once
    assert not locks.held().exists()


def test_a_cleared_lock_stops_its_old_holder_at_its_safe_point() -> None:
    job = scheduling.schedule(fake_jobs.with_lock, {})
    original = fake_jobs.with_lock.run

    def cleared_meanwhile(ctx: object, **kwargs: object) -> object:
        locks.clear("devices", who="ann", origin="here", user=None)
        return original(ctx, **kwargs)

    fake_jobs.with_lock.run = cleared_meanwhile
    try:
        perform(job)
    finally:
        fake_jobs.with_lock.run = original
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "LockLost")
