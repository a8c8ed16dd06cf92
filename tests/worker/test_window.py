"""A worker holds no message for which it has no free slot."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from celery import current_app

from jobs.dispatch import scheduling
from jobs.models import Heartbeat, Job
from tests.fake_jobs import echo, nothing
from tests.fake_jobs.lasting import plain_touch, plain_wait, wait_for_file
from tests.services import RabbitMQ, Redis
from tests.switching import forget_broker_connections
from tests.waiting import settles, wait_until
from tests.worker.conftest import StartWorker, wait_for_status


@pytest.fixture(params=["as it is", "of each consumer"])
def start_counting(request: pytest.FixtureRequest, start_worker: StartWorker) -> StartWorker:
    """Whose prefetch count it is: from RabbitMQ 4 on kombu takes it for each consumer's."""
    if request.param == "as it is":
        return start_worker
    imports = [*current_app.conf.imports, "tests.worker.counts_of_consumers"]
    return partial(start_worker, env={"CNAASJOBS_TEST_JOBS": ",".join(imports)})


def waiting_at_rabbitmq(queue: str = "default") -> int:
    """Messages that no worker holds."""
    with current_app.connection_for_read() as connection:
        return int(connection.default_channel.queue_declare(queue, passive=True).message_count)


def waiting_at_redis(broker: Redis, queue: str = "default") -> int:
    """All priorities; -1 while a worker holds one, which are in ``unacked``."""
    connection = broker.connect()
    return -1 if connection.hlen("unacked") else sum(int(connection.llen(key)) for key in connection.keys(f"{queue}*"))


def running(jobs: list[Job]) -> int:
    return Job.objects.filter(pk__in=[job.pk for job in jobs], status="RUNNING").count()


def unacknowledged(broker: RabbitMQ) -> int:
    return sum(broker.unacknowledged().values())


def _a_short_job_starts_at_once_while_a_slot_is_idle(
    start_worker: StartWorker, scratch: Path, waiting: Callable[[], int]
) -> None:
    start_worker("w1")
    start_worker("w2")
    end = scratch / "end"
    long = [wait_for_file.schedule(path=str(end)) for _ in range(3)]
    wait_until(lambda: running(long) == 3)
    for _ in range(20):
        wait_for_status(nothing.schedule(), "FINISHED")
    assert running(long) == 3  # none of the short ones waited for them
    long += [wait_for_file.schedule(path=str(end)) for _ in range(6)]
    wait_until(lambda: running(long) == 4)
    settles(lambda: waiting() == 5, seconds=1)
    end.touch()
    for job in long:
        wait_for_status(job, "FINISHED")
    assert waiting() == 0


@pytest.mark.needs("rabbitmq")
def test_a_short_job_starts_at_once_while_a_slot_is_idle_on_rabbitmq(
    rabbitmq: RabbitMQ, start_counting: StartWorker, scratch: Path
) -> None:
    _a_short_job_starts_at_once_while_a_slot_is_idle(start_counting, scratch, waiting_at_rabbitmq)


@pytest.mark.needs("redis")
def test_a_short_job_starts_at_once_while_a_slot_is_idle_on_redis(
    redis: Redis, start_worker: StartWorker, scratch: Path
) -> None:
    _a_short_job_starts_at_once_while_a_slot_is_idle(start_worker, scratch, lambda: waiting_at_redis(redis))


@pytest.mark.needs("rabbitmq")
def test_nothing_stays_unacknowledged_while_long_jobs_run(
    rabbitmq: RabbitMQ, start_counting: StartWorker, scratch: Path
) -> None:
    """RabbitMQ's consumer_timeout closes the channel of a consumer that keeps a message too long."""
    start_counting()
    long = [wait_for_file.schedule(path=str(scratch / "end")) for _ in range(4)]
    wait_until(lambda: running(long) == 2)
    wait_until(lambda: unacknowledged(rabbitmq) == 0)
    assert waiting_at_rabbitmq() == 2


@pytest.mark.needs("rabbitmq")
def test_what_came_ahead_of_a_free_slot_goes_back(
    rabbitmq: RabbitMQ, start_counting: StartWorker, scratch: Path
) -> None:
    """Quick jobs are sent ahead of a free slot; a long one among them must not be kept from another worker."""
    start_counting()
    for _ in range(3):
        end = scratch / f"end{time.monotonic()}"
        echo.schedule_many([{"value": str(number)} for number in range(300)])
        long = wait_for_file.schedule_many([{"path": str(end)}] * 6)
        wait_until(lambda long=long: running(long) == 2)  # type: ignore[misc]
        wait_until(lambda: unacknowledged(rabbitmq) == 0)
        # On a busy machine the long ones may pass quick ones that have just gone back.
        assert waiting_at_rabbitmq() == Job.objects.filter(status="SCHEDULED").count() >= 4
        end.touch()
        for job in long:
            wait_for_status(job, "FINISHED")


@pytest.mark.long
@pytest.mark.needs("rabbitmq")
@pytest.mark.parametrize("how", [pytest.param("restart", marks=pytest.mark.breaks_rabbitmq), "cut"])
def test_the_window_is_exact_again_after_the_broker_was_away(
    rabbitmq: RabbitMQ, start_counting: StartWorker, scratch: Path, how: str
) -> None:
    worker = start_counting()
    end, next_end = scratch / "end", scratch / "next"
    long = [wait_for_file.schedule(path=str(end)) for _ in range(4)]
    wait_until(lambda: running(long) == 2)
    wait_until(lambda: unacknowledged(rabbitmq) == 0)
    rabbitmq.restart() if how == "restart" else rabbitmq.cut_connections()
    wait_until(lambda: worker.output().count("Connected to") >= 2, timeout=60, message=worker.output)
    settles(lambda: waiting_at_rabbitmq() == 2 and running(long) == 2, seconds=1)
    end.touch()
    for job in long:
        wait_for_status(job, "FINISHED", timeout=30)
    forget_broker_connections()  # this process's
    more = [wait_for_file.schedule(path=str(next_end)) for _ in range(3)]
    wait_until(lambda: running(more) == 2)
    settles(lambda: waiting_at_rabbitmq() == 1, seconds=1)
    next_end.touch()
    for job in more:
        wait_for_status(job, "FINISHED")


@pytest.mark.needs("rabbitmq")
def test_no_run_is_forgotten_when_connections_are_cut(rabbitmq: RabbitMQ, start_counting: StartWorker) -> None:
    """Celery drops requests with the connection, although their children may have them."""
    worker = start_counting(concurrency=3)
    jobs = echo.schedule_many([{"value": str(number)} for number in range(300)])
    for number in range(1, 4):
        wait_until(lambda n=number: Job.objects.filter(status="FINISHED").count() > 60 * n)  # type: ignore[misc]
        rabbitmq.cut_connections()
    for job in jobs:
        wait_for_status(job, "FINISHED", timeout=60)
    wait_until(lambda: Heartbeat.objects.get().run_tokens == "[]")
    assert worker.running


@pytest.mark.needs("rabbitmq")
def test_several_queues_share_the_window(rabbitmq: RabbitMQ, start_counting: StartWorker, scratch: Path) -> None:
    start_counting(queues=["one", "two"])
    end = scratch / "end"
    queues = ["one", "two", "one", "two", "one"]
    jobs = [scheduling.schedule(wait_for_file, {"path": str(end)}, queue=queue) for queue in queues]
    wait_until(lambda: running(jobs) == 2)
    # where each consumer has a count, more may come, and goes back
    settles(lambda: sum(waiting_at_rabbitmq(queue) for queue in ("one", "two")) == 3, seconds=1)
    end.touch()
    for job in jobs:
        wait_for_status(job, "FINISHED")


@pytest.mark.needs("rabbitmq")
def test_plain_tasks_count_too(rabbitmq: RabbitMQ, start_counting: StartWorker, scratch: Path) -> None:
    start_counting("w1")
    start_counting("w2")
    end = scratch / "end"
    for _ in range(3):
        plain_wait.delay(str(end))
    wait_until(lambda: waiting_at_rabbitmq() == 0)
    for number in range(4):
        started = scratch / f"started{number}"
        plain_touch.delay(str(started))
        wait_until(started.exists)  # while the others wait for their file
    for _ in range(3):
        plain_wait.delay(str(end))
    wait_until(lambda: waiting_at_rabbitmq() == 2)
    settles(lambda: waiting_at_rabbitmq() == 2, seconds=1)
    end.touch()
    wait_until(lambda: waiting_at_rabbitmq() == 0)


@pytest.mark.needs("rabbitmq")
def test_the_window_holds_for_quorum_queues_whose_count_cannot_change(
    rabbitmq: RabbitMQ, start_worker: StartWorker, scratch: Path
) -> None:
    worker = start_worker(env={"CNAASJOBS_QUORUM_QUEUES": "1"})
    assert "Global QoS is disabled" in worker.output()
    assert "delayed" not in worker.output()
    assert "celery_delayed" not in rabbitmq.queues()
    assert "delete_queue" not in worker.output()  # what no quorum queue of this RabbitMQ can have is not asked for
    for name in ("first", "second"):
        long = [wait_for_file.schedule(path=str(scratch / name)) for _ in range(5)]
        wait_until(lambda long=long: running(long) == 2)  # type: ignore[misc]
        settles(lambda: waiting_at_rabbitmq() == 3, seconds=1)
        (scratch / name).touch()
        for job in long:
            wait_for_status(job, "FINISHED")
