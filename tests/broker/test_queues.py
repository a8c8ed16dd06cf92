"""How queues are declared, and what happens if RabbitMQ has them with other properties already."""

import pytest
from celery import current_app

from jobs.broker import queues
from jobs.dispatch import scheduling
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.schedulable import HIGHEST_PRIORITY
from tests import fake_jobs
from tests.factory import claimed, refused
from tests.services import RabbitMQ
from tests.switching import forget_broker_connections

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs("rabbitmq")]


def test_a_queue_that_can_have_no_priorities_is_declared_without(rabbitmq: RabbitMQ) -> None:
    """As in a virtual host whose default type is "quorum"."""
    impossible = queues.Queue("q", queue_arguments={"x-queue-type": "quorum"}, max_priority=9)
    with current_app.connection_for_write() as connection, connection.channel() as channel:
        impossible(channel).declare()
        assert channel.queue_declare("q", passive=True).message_count == 0


def test_what_a_queue_was_found_to_be_is_forgotten_when_it_is_moved(rabbitmq: RabbitMQ) -> None:
    with current_app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_declare("default", durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
        scheduling.schedule(fake_jobs.nothing, {})
        assert channel.queue_declare("default", passive=True).message_count == 1
        assert not queues.serves_by_priority("default")
        channel.queue_delete("default")
        forget_broker_connections()
        scheduling.schedule(fake_jobs.nothing, {})
        channel.queue_declare("default", durable=True, auto_delete=False, arguments={"x-max-priority": 9})
        assert queues.serves_by_priority("default")


def test_jobs_are_sent_to_a_queue_declared_otherwise_and_confirmed(
    rabbitmq: RabbitMQ, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "_named", set())
    with current_app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_declare("default", durable=True, auto_delete=False)
        scheduling.schedule_many(fake_jobs.nothing, [{}] * 3)
        assert not Job.objects.filter(dispatched_at__isnull=True).exists()
        assert channel.queue_declare("default", passive=True).message_count == 3
    (line,) = [message for message in caplog.messages if "delete_queue" in message]
    assert "inequivalent arg 'x-max-priority' for queue 'default'" in line


def test_a_job_that_is_woken_goes_before_those_that_came_while_it_was_in_line(rabbitmq: RabbitMQ) -> None:
    """Its first message has had its turn. Behind them, a free lock would wait for the whole queue for each job."""
    holder, waiting = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(2))
    run = claimed(holder)
    refused(waiting)
    rabbitmq.purge()
    later = [scheduling.schedule(fake_jobs.nothing, {}, priority=priority) for priority in (0, 9, 0)]
    transitions.finish(run, Outcome(result=None))
    assert _arriving(4) == [(later[1].pk, 9), (waiting.pk, 1), (later[0].pk, 0), (later[2].pk, 0)]


def test_a_job_of_the_highest_priority_is_woken_with_that(rabbitmq: RabbitMQ) -> None:
    holder, waiting = (scheduling.schedule(fake_jobs.with_lock, {}, priority=HIGHEST_PRIORITY) for _ in range(2))
    run = claimed(holder)
    refused(waiting)
    rabbitmq.purge()
    transitions.finish(run, Outcome(result=None))
    assert _arriving(1) == [(waiting.pk, HIGHEST_PRIORITY)]


def _arriving(count: int) -> list[tuple[int, int]]:
    """The job and the priority of each message, as the broker has them for a worker."""
    with current_app.connection_for_read() as connection, connection.channel() as channel:
        queue = current_app.amqp.queues["default"].bind(channel)
        messages = [queue.get(no_ack=True) for _ in range(count)]
        return [(message.payload[0][0], message.properties.get("priority", 0)) for message in messages]
