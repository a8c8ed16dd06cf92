"""Messages are confirmed while the broker is up; nothing is lost and nothing hangs while it is not."""

import gc
import multiprocessing
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from celery import current_app
from kombu.connection import Connection

from cnaasjobs.conf import conf
from jobs.broker import publisher
from jobs.broker.opening import is_redis
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.states import JOIN
from tests import fake_jobs
from tests.services import RabbitMQ
from tests.switching import forget_broker_connections
from tests.waiting import takes_less_than, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def _depth(queue: str = "default") -> int:
    with current_app.connection_for_read() as connection, connection.channel() as channel:
        return int(channel.queue_declare(queue, passive=True).message_count)


def _message() -> publisher.Message:
    return publisher.Message(job_id=1, task_name="tests.fake_jobs.nothing", queue="default", priority=0)


def test_every_message_of_a_batch_arrives(broker: str) -> None:
    scheduling.schedule_many(fake_jobs.nothing, [{}] * 2500)
    assert _depth() == 2500
    assert Job.objects.filter(dispatched_at__isnull=True).count() == 0


def test_a_message_says_what_a_worker_would_not_take_for_granted(broker: str) -> None:
    job, joined = scheduling.schedule_many(fake_jobs.nothing, [{}, {}])
    publisher.publish([replace(_message(), job_id=joined.pk, priority=9, joins=True)])
    with current_app.connection_for_read() as connection, connection.channel() as channel:
        queue = current_app.amqp.queues["default"].bind(channel)
        of_joined, of_job, _ = (queue.get(no_ack=True) for _ in range(3))  # also an invitation goes by its priority
    assert of_job.payload == [[job.pk], {}, {}]
    names = {"task", "id", "lang", "argsrepr", "kwargsrepr", "origin"}
    assert of_job.headers.keys() == names
    assert of_job.headers["task"] == of_joined.headers["task"] == fake_jobs.nothing.name
    assert of_joined.payload == [[joined.pk, JOIN], {}, {}]
    dropped_by_workers = {"expires"} if is_redis(connection) else set()  # RabbitMQ drops it, by its own clock
    assert of_joined.headers.keys() == names | dropped_by_workers


@pytest.mark.needs("rabbitmq")
def test_every_message_of_a_batch_is_confirmed_by_rabbitmq(rabbitmq: RabbitMQ) -> None:
    scheduling.schedule_many(fake_jobs.nothing, [{}] * 2500)
    assert _depth() == 2500


@pytest.mark.needs("rabbitmq")
def test_an_invitation_that_nobody_takes_is_soon_gone(rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or upkeep, which looks how many messages wait, would take them for those of jobs."""
    monkeypatch.setattr(publisher, "_JOIN_SECONDS", 0.5)
    assert publisher.publish([replace(_message(), joins=True), _message()]) == []
    wait_until(lambda: _depth() == 1, timeout=30)


@pytest.mark.needs("rabbitmq")
def test_the_broker_is_listened_to_for_confirms_only(rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = _publish_here().default_channel
    timeouts = []

    def drain_events(timeout: float | None = None) -> None:
        timeouts.append(timeout)
        type(channel.connection).drain_events(channel.connection, timeout)

    monkeypatch.setattr(channel.connection, "drain_events", drain_events)
    assert publisher.publish([_message()] * 10) == []
    assert timeouts
    assert set(timeouts) == {conf.publish_timeout_seconds}  # none before a message is sent


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("rabbitmq")
@pytest.mark.parametrize("fault", ["kill", "freeze", "block"])
def test_a_broker_that_does_not_answer_delays_nobody_and_loses_nothing(rabbitmq: RabbitMQ, fault: str) -> None:
    scheduling.schedule(fake_jobs.nothing, {})
    if fault == "block":
        rabbitmq.block_publishers()
    else:
        getattr(rabbitmq, fault)()
    try:
        with takes_less_than(2):
            for _ in range(3):
                scheduling.schedule(fake_jobs.nothing, {})
    finally:
        if fault == "block":
            rabbitmq.unblock_publishers()
    assert Job.objects.filter(dispatched_at__isnull=True).count() == 3


@pytest.mark.needs("rabbitmq")
def test_after_a_restart_of_the_broker_the_first_message_arrives(rabbitmq: RabbitMQ) -> None:
    """Each thread has kept a connection that is closed by now."""
    kept, calls = _publish_here(), []
    rabbitmq.cut_connections()  # as one that restarts does
    assert publisher.publish([_message()], meanwhile=lambda: calls.append(1)) == []
    assert _publish_here() is not kept
    assert calls == [1]


@pytest.mark.needs("rabbitmq")
def test_what_runs_while_confirms_are_on_their_way_runs_once(rabbitmq: RabbitMQ) -> None:
    """Also where the connection ends just then, and the messages are sent again."""
    connection, calls = _publish_here(), []

    def meanwhile() -> None:
        calls.append(1)
        connection.default_channel.connection.transport.sock.shutdown(socket.SHUT_RDWR)

    assert publisher.publish([_message()], meanwhile=meanwhile) == []
    assert calls == [1]


def test_after_a_failure_the_broker_is_left_alone_for_a_while(broker: str) -> None:
    message = _message()
    assert publisher.publish([message]) == []
    current_app.conf.update(broker_url="amqp://127.0.0.1:1//", broker_write_url="amqp://127.0.0.1:1//")
    try:
        publisher.drop()
        assert publisher.publish([message]) == [1]
    finally:
        current_app.conf.update(broker_url=broker, broker_write_url=broker)
    assert publisher.publish([message]) == [1]  # still paused
    forget_broker_connections()
    assert publisher.publish([message]) == []


def _publish_here() -> Connection:
    assert publisher.publish([_message()]) == []
    connection: Connection = publisher._kept_link().connection  # type: ignore[union-attr]
    return connection


@pytest.mark.needs("rabbitmq")
def test_a_thread_that_ends_leaves_no_connection(rabbitmq: RabbitMQ) -> None:
    with ThreadPoolExecutor(1) as pool:
        connection = pool.submit(_publish_here).result()
        assert connection.connected
    assert not connection.connected


@pytest.mark.needs("rabbitmq")
def test_a_forked_process_leaves_its_parents_connection_alone(rabbitmq: RabbitMQ) -> None:
    connection = _publish_here()

    def forget() -> None:
        publisher._local.link = None
        gc.collect()

    child = multiprocessing.get_context("fork").Process(target=forget)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert _publish_here() is connection
