"""A lost message is sent again; a long queue is left alone."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from jobs.broker.connection import Broker
from jobs.dispatch import scheduling
from jobs.end_reasons import Failure
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.upkeep import republish
from jobs.upkeep.republish import Republish
from tests import fake_jobs
from tests.factory import claimed
from tests.services import PostgreSQL, RabbitMQ
from tests.switching import purge_broker
from tests.upkeep.other_beat import other_beat_in
from tests.waiting import takes_less_than

pytestmark = pytest.mark.django_db(transaction=True)

GRACE = 10.0


class Upkeep:
    """A Beat's republishing; its seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.republish = Republish(clock=lambda: self.now)

    def look(self, seconds: float = 2.0) -> int:
        self.now += seconds
        return self.republish.step()

    def watch(self, seconds: float) -> int:
        return sum(self.look() for _ in range(int(seconds / 2)))


@pytest.fixture
def upkeep(broker: str) -> Iterator[Upkeep]:
    assert conf.republish_after_seconds == GRACE
    upkeep = Upkeep()
    yield upkeep
    upkeep.republish.close()


def sent_long_ago(count: int, **options: Any) -> list[Job]:
    jobs = [scheduling.schedule(fake_jobs.nothing, {}, **options) for _ in range(count)]
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(dispatched_at=database_now() - timedelta(minutes=5))
    return jobs


def depth(queue: str = "default") -> int:
    broker = Broker()
    try:
        return broker.depth(queue)
    finally:
        broker.drop()


def take(count: int) -> None:
    """A worker takes messages from the queue."""
    default = current_app.amqp.queues["default"]
    with current_app.connection_for_write() as link, link.SimpleQueue(default) as queue:
        for _ in range(count):
            queue.get(timeout=5).ack()


def test_the_depth_of_a_queue_is_known(broker: str) -> None:
    assert depth("never declared") == 0
    for priority in (0, 0, 5, 9):
        scheduling.schedule(fake_jobs.nothing, {}, priority=priority)
    assert depth() == 4


def test_messages_lost_with_the_broker_are_sent_again_once(upkeep: Upkeep) -> None:
    sent_long_ago(5)
    purge_broker(["default"])
    assert upkeep.watch(GRACE - 2) == 0
    assert upkeep.watch(6) == 5
    assert depth() == 5
    assert upkeep.watch(60) == 0
    assert depth() == 5


def test_a_long_queue_is_left_alone(upkeep: Upkeep) -> None:
    sent_long_ago(50)
    assert upkeep.watch(120) == 0
    assert depth() == 50


def test_what_is_missing_of_a_long_queue_is_sent_again_and_no_more(upkeep: Upkeep) -> None:
    sent_long_ago(20)
    take(3)
    assert upkeep.watch(60) == 3
    assert depth() == 20


def test_a_whole_backlog_is_sent_again_in_batches_but_once(upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(republish, "_BATCH", 7)
    sent_long_ago(30)
    purge_broker(["default"])
    assert upkeep.watch(60) == 30
    assert depth() == 30


def test_a_gap_that_closes_by_itself_is_no_loss(upkeep: Upkeep) -> None:
    job, *_ = sent_long_ago(1)
    take(1)
    upkeep.watch(GRACE - 4)
    claimed(job)
    assert upkeep.watch(30) == 0


def test_a_message_just_delivered_is_not_missing(upkeep: Upkeep) -> None:
    sent_long_ago(1)
    assert upkeep.watch(2 * GRACE) == 0
    take(1)
    assert upkeep.look() == 0


def test_a_job_that_was_overtaken_is_sent_again_though_the_queue_is_long(upkeep: Upkeep) -> None:
    lost, *_ = sent_long_ago(1)
    take(1)
    with current_app.connection_for_write() as link:
        for _ in range(10):
            fake_jobs.plain.apply_async((1,), connection=link)  # as many messages as hide the gap
    later = scheduling.schedule(fake_jobs.nothing, {})
    claimed(later)
    assert upkeep.look() == 1
    lost.refresh_from_db()
    assert lost.dispatched_at is not None
    assert lost.dispatched_at > database_now() - timedelta(seconds=5)
    assert upkeep.watch(30) == 0


def test_a_job_of_lower_priority_was_not_overtaken(upkeep: Upkeep) -> None:
    sent_long_ago(3)
    claimed(scheduling.schedule(fake_jobs.nothing, {}, priority=5))
    assert upkeep.look() == 0


def test_a_job_of_higher_priority_was_not_overtaken_on_a_quorum_queue(
    upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RabbitMQ 4 lets one of a low priority pass for two of a high one."""
    default = current_app.amqp.queues["default"]
    monkeypatch.setattr(default, "queue_arguments", {"x-queue-type": "quorum"})
    monkeypatch.setattr(default, "max_priority", None)
    sent_long_ago(3, priority=9)
    claimed(scheduling.schedule(fake_jobs.nothing, {}))
    assert upkeep.look() == 0
    claimed(scheduling.schedule(fake_jobs.nothing, {}, priority=9))
    assert upkeep.look() == 3


def test_parked_unsent_and_ended_jobs_wait_for_no_message(upkeep: Upkeep) -> None:
    parked, unsent, ended = sent_long_ago(3)
    purge_broker(["default"])
    Job.objects.filter(pk=parked.pk).update(parked=True, lock_name="devices", dispatched_at=None)
    Job.objects.filter(pk=unsent.pk).update(dispatched_at=None)
    transitions.cancel(ended.pk, Failure(type="JobAborted", message="no more"))
    assert upkeep.watch(30) == 0


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("rabbitmq")
def test_nothing_is_sent_again_while_the_broker_does_not_answer(rabbitmq: RabbitMQ, upkeep: Upkeep) -> None:
    sent_long_ago(2)
    rabbitmq.freeze()
    with takes_less_than(30):  # each look is bounded
        assert sum(upkeep.look(seconds=GRACE + 1) for _ in range(3)) == 0
    assert Job.objects.filter(dispatched_at__isnull=True).count() == 0
    rabbitmq.thaw()
    assert upkeep.watch(20) == 0


@pytest.mark.needs("postgresql")
def test_one_beat_at_a_time_sends_again(postgresql: PostgreSQL, upkeep: Upkeep) -> None:
    sent_long_ago(3)
    purge_broker(["default"])
    with other_beat_in("republish"):
        assert upkeep.watch(30) == 0
    assert upkeep.watch(30) == 3


@pytest.mark.needs("postgresql")
def test_two_beats_do_not_send_the_same_again(postgresql: PostgreSQL, upkeep: Upkeep) -> None:
    other = Upkeep()
    sent_long_ago(10)
    purge_broker(["default"])
    assert sum(each.look() for _ in range(20) for each in (upkeep, other)) == 10
    assert depth() == 10
    other.republish.close()
