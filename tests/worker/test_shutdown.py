"""SIGTERM: no new jobs, running ones get the grace period, those cut off say so. The worker exits whatever is away."""

import signal
from pathlib import Path

import pytest
from django.db import connection, transaction

from jobs.models import Heartbeat
from jobs.states import Status
from locks.models import Lock
from tests.fake_jobs import nothing
from tests.fake_jobs.ends import end_badly_with_lock
from tests.fake_jobs.lasting import plain_wait, rerun, short_limit, wait_for_file
from tests.services import PostgreSQL, RabbitMQ, Redis
from tests.waiting import stays, wait_until
from tests.worker.conftest import StartWorker, first_line, is_alive, reason, status, wait_for_status

ONE_SECOND = {"CNAASJOBS_SHUTDOWN_GRACE_SECONDS": "1"}


def test_running_jobs_finish_and_no_new_ones_are_taken(start_worker: StartWorker, scratch: Path) -> None:
    worker = start_worker()
    end = scratch / "end"
    running = [wait_for_file.schedule(path=str(end)) for _ in range(2)]
    for job in running:
        wait_for_status(job, "RUNNING")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Warm shutdown")
    late = nothing.schedule()
    stays(lambda: worker.running and status(late) == Status.SCHEDULED, seconds=1)
    heartbeat = Heartbeat.objects.get()
    assert heartbeat.stopped_at is None
    assert all(str(job.run_token) in heartbeat.run_tokens for job in running)
    end.touch()
    assert worker.wait(timeout=20) == 0
    assert [status(job) for job in running] == ["FINISHED", "FINISHED"]
    assert status(late) == Status.SCHEDULED
    after = Heartbeat.objects.get()
    assert after.stopped_at is not None
    assert after.run_tokens == "[]"
    start_worker("w2")
    wait_for_status(late, "FINISHED")


def test_a_job_cut_off_at_the_end_of_the_grace_period_says_so(start_worker: StartWorker, scratch: Path) -> None:
    worker = start_worker(env=ONE_SECOND)
    writer = scratch / "writer"
    job = wait_for_status(end_badly_with_lock.schedule(how="wait", writer=str(writer)), "RUNNING")
    wait_until(writer.exists)
    again = wait_for_status(rerun.schedule(path=str(scratch / "started")), "RUNNING")
    worker.signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    assert status(job) == Status.EXCEPTION
    assert job.exception_type == "WorkerShutdown"
    assert "1 seconds to finish" in reason(job)
    assert not is_alive(first_line(writer))
    assert not Lock.objects.filter(holder_id__isnull=False).exists()
    assert status(again) == Status.SCHEDULED  # declared rerun_if_lost


def test_a_plain_task_is_cut_off_too(start_worker: StartWorker, scratch: Path) -> None:
    worker = start_worker(env=ONE_SECOND)
    plain_wait.delay(str(scratch / "never"))
    wait_until(lambda: "plain_wait" in worker.output(), message=worker.output)
    worker.signal(signal.SIGTERM)
    assert worker.wait(timeout=25) == 0


def test_sigquit_cuts_off_at_once(start_worker: StartWorker) -> None:
    worker = start_worker()
    job = wait_for_status(end_badly_with_lock.schedule(how="wait"), "RUNNING")
    worker.signal(signal.SIGQUIT)
    worker.wait(timeout=20)
    assert status(job) == Status.EXCEPTION
    assert job.exception_type == "WorkerShutdown"
    assert Heartbeat.objects.get().stopped_at is not None


def test_the_grace_period_does_not_run_out_while_a_result_waits_for_the_database(
    start_worker: StartWorker, scratch: Path
) -> None:
    worker = start_worker(env=ONE_SECOND)
    job = wait_for_status(short_limit.schedule(path=str(scratch / "end")), "RUNNING")
    with transaction.atomic():
        if connection.vendor == "postgresql":
            type(job).objects.select_for_update().get(pk=job.pk)
        (scratch / "end").touch()
        worker.signal(signal.SIGTERM)
        stays(lambda: worker.running and status(job) == Status.RUNNING, seconds=3)
    assert worker.wait(timeout=20) == 0
    assert status(job) == Status.FINISHED, reason(job)


@pytest.mark.needs("postgresql")
def test_the_grace_period_does_not_run_out_while_postgresql_is_away(
    postgresql: PostgreSQL, start_worker: StartWorker, scratch: Path
) -> None:
    worker = start_worker(env=ONE_SECOND)
    job = wait_for_status(short_limit.schedule(path=str(scratch / "end")), "RUNNING")
    postgresql.kill()
    (scratch / "end").touch()
    worker.signal(signal.SIGTERM)
    stays(lambda: worker.running, seconds=4)
    postgresql.start()
    connection.close()
    assert worker.wait(timeout=30) == 0
    assert status(job) == Status.FINISHED, reason(job)


@pytest.mark.needs("postgresql")
def test_a_job_cut_off_while_postgresql_is_away_says_so_later(
    postgresql: PostgreSQL, start_worker: StartWorker, scratch: Path
) -> None:
    worker = start_worker(env=ONE_SECOND)
    job = wait_for_status(wait_for_file.schedule(path=str(scratch / "never")), "RUNNING")
    postgresql.kill()
    worker.signal(signal.SIGTERM)
    worker.wait_for_output(f"end of job {job.pk} waits for the database")
    postgresql.start()
    connection.close()
    assert worker.wait(timeout=30) == 0
    assert status(job) == Status.EXCEPTION
    assert job.exception_type == "WorkerShutdown"


def _cut_off_while_the_broker_is(broker: RabbitMQ | Redis, how: str, start_worker: StartWorker) -> None:
    worker = start_worker(env=ONE_SECOND)
    job = wait_for_status(end_badly_with_lock.schedule(how="wait"), "RUNNING")
    {"frozen": broker.freeze, "down": broker.kill}[how]()
    worker.signal(signal.SIGTERM)
    worker.wait(timeout=30)
    assert status(job) == Status.EXCEPTION
    assert job.exception_type == "WorkerShutdown"
    assert Heartbeat.objects.get().stopped_at is not None


@pytest.mark.parametrize("how", ["frozen", "down"])
@pytest.mark.needs("redis")
def test_a_worker_exits_although_redis_is_away(redis: Redis, start_worker: StartWorker, how: str) -> None:
    _cut_off_while_the_broker_is(redis, how, start_worker)


@pytest.mark.parametrize("how", ["frozen", "down"])
@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("rabbitmq")
def test_a_worker_exits_although_rabbitmq_is_away(rabbitmq: RabbitMQ, start_worker: StartWorker, how: str) -> None:
    _cut_off_while_the_broker_is(rabbitmq, how, start_worker)
