"""A list of brokers: every client goes to the first that answers, and a dead one costs only a moment."""

import socket
from collections.abc import Iterator

import pytest

from jobs.broker import opening, publisher
from jobs.broker.connection import Broker
from jobs.dispatch import scheduling
from jobs.models import Job
from tests import fake_jobs
from tests.services import PostgreSQL, RabbitMQ, Redis
from tests.services.processes import Platform
from tests.services.relay import Relay
from tests.switching import on_broker
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

REFUSES = 1  # a port of nobody


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and says nothing, like a frozen host."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def message() -> publisher.Message:
    return publisher.Message(job_id=1, task_name="tests.fake_jobs.nothing", queue="default", priority=0)


def works(url: str) -> None:
    with on_broker(url):
        assert publisher.publish([message()]) == []
        broker = Broker()
        broker.probe()
        assert broker.depth("default") == 1
        broker.drop()


@pytest.mark.needs("rabbitmq")
def test_one_that_refuses_is_passed_over(rabbitmq: RabbitMQ) -> None:
    works(f"amqp://guest:guest@127.0.0.1:{REFUSES}//;{rabbitmq.url}")


@pytest.mark.needs("rabbitmq")
def test_one_that_is_frozen_is_passed_over(rabbitmq: RabbitMQ, silent: int) -> None:
    works(f"amqp://guest:guest@127.0.0.1:{silent}//;{rabbitmq.url}")


@pytest.mark.needs("redis")
def test_a_list_of_redis_servers_works_too(redis: Redis, silent: int) -> None:
    works(f"redis://127.0.0.1:{REFUSES}/0;redis://127.0.0.1:{silent}/0;{redis.url}")


def test_where_none_answers_the_job_waits_for_beat(silent: int) -> None:
    with on_broker(f"amqp://guest:guest@127.0.0.1:{REFUSES}//;amqp://guest:guest@127.0.0.1:{silent}//"):
        assert scheduling.schedule(fake_jobs.nothing, {}).dispatched_at is None


@pytest.mark.needs("rabbitmq")
def test_a_process_stays_where_it_was_answered_until_that_fails(rabbitmq: RabbitMQ) -> None:
    """Like two nodes of a cluster, which share their queues."""
    with Relay(rabbitmq.port) as first, Relay(rabbitmq.port) as second:
        nodes = [relay.url(rabbitmq.url) for relay in (first, second)]
        with on_broker(";".join(nodes)):
            opened = [opening.opened(2.0) for _ in range(2)]
            assert [connection.port for connection in opened] == [first.port, first.port]
            first.cut()
            opened += [opening.opened(0.5)]
            first.heal()
            opened += [opening.opened(2.0)]
            assert [connection.port for connection in opened[2:]] == [second.port, second.port]
            second.cut()
            opened += [opening.opened(0.5)]
            assert opened[-1].port == first.port
            for connection in opened:
                connection.collect()


@pytest.mark.needs("postgresql", "rabbitmq")
def test_jobs_go_on_when_the_first_is_away_and_when_the_second_goes(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, platform: Platform
) -> None:
    second = Relay(rabbitmq.port)
    with Relay(rabbitmq.port) as first:
        platform.env["CELERY_BROKER_URL"] = " ; ".join(relay.url(rabbitmq.url) for relay in (first, second))
        platform.env["CNAASJOBS_REPUBLISH_AFTER_SECONDS"] = "2"
        first.cut()
        platform.web()
        platform.worker()
        platform.beat()

        def runs_a_job() -> None:
            status, answer, _ = platform.post("/api/v1.0/device_syncto", {"all": True})
            assert status == 200, answer
            wait_until(lambda: Job.objects.get(pk=answer["job_id"]).status == "FINISHED", timeout=90)
            wait_until(lambda: platform.get("/readyz")[0] == 200, timeout=30)

        runs_a_job()
        first.heal()
        second.close()
        runs_a_job()
        platform.stop()
