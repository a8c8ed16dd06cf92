"""A job from its POST to its end through real processes, on whatever database and broker the suite uses."""

import json
from datetime import timedelta
from itertools import pairwise
from statistics import median

import pytest
from celery import current_app
from django_celery_results.models import TaskResult

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.states import TERMINAL, Status
from locks import service as locks
from tests import fake_jobs
from tests.fake_jobs.ends import end_badly
from tests.fake_jobs.lasting import plain_open
from tests.services.processes import Platform
from tests.waiting import wait_until

SYNC = "/api/v1.0/device_syncto"


def _ended(count: int, timeout: float = 90) -> list[Job]:
    """All jobs, once ``count`` of them have ended, in the order in which they started."""

    def found() -> list[Job]:
        ended = list(Job.objects.filter(status__in=[s.value for s in TERMINAL]).order_by("start_time"))
        return ended if len(ended) >= count else []

    return wait_until(found, timeout=timeout, message=lambda: str(list(Job.objects.values_list("id", "status")[:60])))


@pytest.mark.devices
def test_fifty_syncs_at_once_all_finish_never_two_at_a_time_in_order(platform: Platform) -> None:
    platform.web()
    platform.beat()
    platform.worker("w1", concurrency=2)
    platform.worker("w2", concurrency=2)
    for _ in range(50):
        status, body, headers = platform.post(SYNC, {"all": True})
        assert (status, body["status"]) == (200, "success")
    jobs = _ended(50)
    assert {job.status for job in jobs} == {Status.FINISHED.value}
    assert [job.pk for job in jobs] == sorted(job.pk for job in jobs)
    for earlier, later in pairwise(jobs):
        assert earlier.finish_time is not None
        assert later.start_time is not None
        assert earlier.finish_time <= later.start_time
    selected = int(headers["X-Total-Count"])
    assert all(len(json.loads(job.finished_devices or "[]")) == selected for job in jobs)
    assert not locks.held().exists()


def test_jobs_due_later_start_at_their_time_and_never_early(platform: Platform) -> None:
    platform.beat()
    platform.worker(concurrency=2)
    due = [
        scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(seconds=1 + n / 5)) for n in range(10)
    ]
    assert all(job.dispatched_at is None for job in due)
    late = [(job.start_time - job.scheduled_time).total_seconds() for job in _ended(10) if job.start_time]
    assert len(late) == 10
    assert min(late) >= 0
    # Not a speed test: far below a second is what tells Beat's own timer from a look every few seconds.
    assert median(late) < 1


def test_a_retried_job_comes_back_by_beat_and_stays_one_job(platform: Platform) -> None:
    platform.beat()
    platform.worker()
    job = fake_jobs.retry_twice.schedule(succeed_on=3)
    _ended(1)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.retries, Job.objects.count()) == (Status.FINISHED, 3, 2, 1)
    assert job.outcome.result == '"attempt 3"'


def test_a_plain_celery_tasks_result_lands_in_django_celery_results(platform: Platform) -> None:
    platform.worker(concurrency=1)
    sent = fake_jobs.plain.delay(21)
    row = wait_until(lambda: TaskResult.objects.filter(task_id=sent.id, status="SUCCESS").first(), timeout=30)
    assert json.loads(row.result) == 42
    assert not Job.objects.exists()
    failed = plain_open.delay()  # the same process runs what follows
    job = fake_jobs.nothing.schedule()
    _ended(1)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.FINISHED, 1)
    assert "left a database transaction open" in TaskResult.objects.get(task_id=failed.id, status="FAILURE").result


def test_a_message_without_a_row_runs_nothing(platform: Platform) -> None:
    worker = platform.worker()
    current_app.send_task(fake_jobs.echo.name, kwargs={"value": 1})
    current_app.send_task(fake_jobs.echo.name, args=(12345,))
    job = fake_jobs.echo.schedule(value=2)
    _ended(1)
    for said in ('"action":"refuse_message"', "job 12345: not claimed: no such job"):
        worker.wait_for_output(said)  # by another of its children, perhaps later
    job.refresh_from_db()
    assert job.outcome.result == '{"message": "2"}'


def test_every_message_delivered_twice_starts_a_body_once(platform: Platform) -> None:
    rows = fake_jobs.nothing.schedule_many([{}] * 40)
    for row in rows:
        current_app.send_task(row.task_name, args=(row.pk,))
    platform.worker("w1")
    platform.worker("w2")
    jobs = _ended(40)
    assert {(job.status, job.attempt) for job in jobs} == {(Status.FINISHED.value, 1)}


@pytest.mark.parametrize("how", ["os_exit", "sigkill", "memory_error", "system_exit"])
def test_a_body_that_takes_its_process_along_ends_its_job_and_the_worker_goes_on(platform: Platform, how: str) -> None:
    platform.worker(concurrency=1)
    job = end_badly.schedule(how=how)
    after = fake_jobs.add.schedule(a=1, b=1)
    _ended(2)
    for row in (job, after):
        row.refresh_from_db()
    lost = how in {"os_exit", "sigkill"}
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "WorkerLost" if lost else "BodyExited")
    assert after.status == Status.FINISHED
