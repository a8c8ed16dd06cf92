"""A job of a higher priority leaves its queue first, on every broker. A queue that can't do that breaks nothing."""

from pathlib import Path
from typing import Any

import pytest
from amqp.exceptions import NotFound, PreconditionFailed
from celery import current_app

from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.schedulable import HIGHEST_PRIORITY
from tests.fake_jobs import nothing
from tests.fake_jobs.lasting import wait_for_file
from tests.services import RabbitMQ, Redis
from tests.services.processes import Platform
from tests.waiting import settles, wait_until
from tests.worker.conftest import StartWorker, wait_for_status
from tests.worker.test_window import waiting_at_rabbitmq

GIVEN = [0, 1, 3, 7, 8, 9, 0]


def started_in_order(*, end: Path) -> list[int]:
    """The priorities in the order in which a worker of one slot, busy meanwhile, starts them."""
    wait_for_status(scheduling.schedule(wait_for_file, {"path": str(end)}), "RUNNING")
    jobs = [scheduling.schedule(nothing, {}, priority=priority) for priority in GIVEN]
    end.touch()
    for job in jobs:
        wait_for_status(job, "FINISHED")
    ids = [job.pk for job in jobs]
    return [job.priority for job in Job.objects.filter(pk__in=ids).order_by("start_time")]


@pytest.mark.needs("rabbitmq")
def test_the_highest_priority_starts_first_on_rabbitmq(
    rabbitmq: RabbitMQ, start_worker: StartWorker, scratch: Path
) -> None:
    start_worker(concurrency=1)
    assert started_in_order(end=scratch / "end") == sorted(GIVEN, reverse=True)


@pytest.mark.needs("redis")
def test_the_highest_priority_starts_first_on_redis(redis: Redis, start_worker: StartWorker, scratch: Path) -> None:
    start_worker(concurrency=1)
    assert started_in_order(end=scratch / "end") == sorted(GIVEN, reverse=True)


def is_declared_with(queue: str, **arguments: Any) -> bool:
    with current_app.connection_for_write() as connection, connection.channel() as channel:
        try:
            channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
        except PreconditionFailed:
            return False
        return True


def fits(queue: str, **arguments: Any) -> bool:
    """Whether it exists with these arguments, or did not exist until now."""
    with current_app.connection_for_write() as connection, connection.channel() as channel:
        try:
            channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
        except PreconditionFailed:
            return False
        return True


def exists(queue: str) -> bool:
    with current_app.connection_for_write() as connection, connection.channel() as channel:
        try:
            channel.queue_declare(queue, passive=True)
        except NotFound:
            return False
        return True


def delete(queue: str) -> None:
    with current_app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_delete(queue)


@pytest.mark.needs("rabbitmq")
def test_a_queue_declared_otherwise_is_used_logged_once_and_can_be_replaced(
    rabbitmq: RabbitMQ, platform: Platform, start_worker: StartWorker, scratch: Path
) -> None:
    assert fits("default")
    quick = {"CNAASJOBS_UPKEEP_SECONDS": "0.2", "CNAASJOBS_REPUBLISH_AFTER_SECONDS": "1"}
    platform.beat(env=quick)
    worker = start_worker(concurrency=1)
    wait_for_status(nothing.schedule(), "FINISHED")
    rabbitmq.cut_connections()
    wait_until(lambda: worker.output().count("Connected to") == 2, timeout=30, message=worker.output)
    wait_for_status(nothing.schedule(), "FINISHED")
    assert worker.output().count("rabbitmqctl delete_queue default") == 1
    assert fits("default")

    end = scratch / "end"
    jobs = [scheduling.schedule(wait_for_file, {"path": str(end)}) for _ in range(4)]
    wait_for_status(jobs[0], "RUNNING")
    delete("default")  # while its consumers are cancelled, with three messages in it
    end.touch()
    for job in jobs:
        wait_for_status(job, "FINISHED", timeout=40)
    assert fits("default", **{"x-max-priority": HIGHEST_PRIORITY})

    delete("default")  # while an idle worker consumes from it
    wait_until(lambda: exists("default"), timeout=20, message=worker.output)
    wait_for_status(nothing.schedule(), "FINISHED")


@pytest.mark.needs("rabbitmq")
@pytest.mark.parametrize("wanted", ["0", "1"])
def test_a_queue_of_another_type_is_served_all_the_same(
    rabbitmq: RabbitMQ, start_worker: StartWorker, scratch: Path, wanted: str
) -> None:
    """RabbitMQ refuses a consumer of a quorum queue on a channel whose prefetch count is that of a classic one."""
    exists = {"x-queue-type": "quorum"} if wanted == "0" else {"x-max-priority": HIGHEST_PRIORITY}
    assert fits("default", **exists)
    worker = start_worker(env={"CNAASJOBS_QUORUM_QUEUES": wanted})
    end = scratch / "end"
    jobs = [scheduling.schedule(wait_for_file, {"path": str(end)}) for _ in range(5)]
    wait_until(lambda: Job.objects.filter(status="RUNNING").count() == 2)
    settles(lambda: waiting_at_rabbitmq() == 3, seconds=1)
    end.touch()
    for job in jobs:
        wait_for_status(job, "FINISHED")
    assert worker.output().count("Connected to") == 1
    assert fits("default", **exists)
