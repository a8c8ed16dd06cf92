"""A worker's heartbeat: written before it takes a job, growing whatever the broker does, with the runs in progress."""

import json
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from jobs.models import Heartbeat
from tests.fake_jobs import nothing
from tests.fake_jobs.lasting import wait_for_file
from tests.services import PostgreSQL, RabbitMQ, Redis
from tests.services.managed import Managed
from tests.waiting import stays, wait_until
from tests.worker.conftest import StartWorker, wait_for_status


def counter() -> int:
    return Heartbeat.objects.get().counter


def grows(by: int = 3) -> None:
    before = counter()
    wait_until(lambda: counter() >= before + by)


def test_the_heartbeat_shows_the_worker_and_its_runs(start_worker: StartWorker, scratch: Path) -> None:
    worker = start_worker(concurrency=3, queues=["default", "slow"])
    row = Heartbeat.objects.get()
    assert (row.kind, row.pid, row.concurrency) == ("worker", worker.pid, 3)
    assert row.name.startswith("w1@")
    assert json.loads(row.queues) == ["default", "slow"]
    assert row.stopped_at is None
    job = wait_for_status(wait_for_file.schedule(path=str(scratch / "end")), "RUNNING")
    assert (job.worker_id, job.worker) == (row.pk, row.name)
    wait_until(lambda: json.loads(Heartbeat.objects.get().run_tokens) == [str(job.run_token)])
    (scratch / "end").touch()
    wait_for_status(job, "FINISHED")
    wait_until(lambda: json.loads(Heartbeat.objects.get().run_tokens) == [])
    grows()


def test_one_that_was_taken_for_dead_is_alive_again(start_worker: StartWorker) -> None:
    worker = start_worker()
    worker.freeze()
    Heartbeat.objects.update(stopped_at=timezone.now())
    worker.thaw()
    wait_until(lambda: Heartbeat.objects.get().stopped_at is None)
    worker.freeze()
    Heartbeat.objects.all().delete()
    worker.thaw()
    wait_until(Heartbeat.objects.exists)
    job = wait_for_status(nothing.schedule(), "FINISHED")
    assert job.worker_id == Heartbeat.objects.get().pk


@pytest.mark.needs("redis")
def test_the_heartbeat_grows_while_redis_is_frozen(redis: Redis, start_worker: StartWorker, scratch: Path) -> None:
    _grows_while_frozen(redis, start_worker(), scratch)


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("rabbitmq")
def test_the_heartbeat_grows_while_rabbitmq_is_frozen(
    rabbitmq: RabbitMQ, start_worker: StartWorker, scratch: Path
) -> None:
    _grows_while_frozen(rabbitmq, start_worker(), scratch)


def _grows_while_frozen(broker: Redis | RabbitMQ, worker: Managed, scratch: Path) -> None:
    job = wait_for_status(wait_for_file.schedule(path=str(scratch / "end")), "RUNNING")
    broker.freeze()
    grows(10)
    assert str(job.run_token) in Heartbeat.objects.get().run_tokens
    (scratch / "end").touch()
    wait_for_status(job, "FINISHED")
    grows(10)


@pytest.mark.needs("postgresql")
def test_a_worker_waits_for_the_database_before_it_takes_a_job(
    postgresql: PostgreSQL, start_worker: StartWorker
) -> None:
    job = nothing.schedule()
    postgresql.stop()
    worker = start_worker(wait=False)
    worker.wait_for_output("waits for the database")
    stays(lambda: worker.running and " ready." not in worker.output(), seconds=1)
    postgresql.start()
    connection.close()
    wait_for_status(job, "FINISHED", timeout=30)


@pytest.mark.needs("postgresql")
def test_the_heartbeat_goes_on_after_the_database_was_away(postgresql: PostgreSQL, start_worker: StartWorker) -> None:
    start_worker()
    grows()
    postgresql.restart()
    connection.close()
    grows()
    postgresql.kill()
    postgresql.start()
    connection.close()
    grows()
    assert Heartbeat.objects.count() == 1
