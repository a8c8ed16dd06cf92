"""An outsider writes to the workers' queue: nothing of it runs, ends a process or stays, and jobs go on meanwhile.

``CNAASJOBS_TEST_FULL_LENGTH=1`` sends 5,000 messages to each broker.
"""

import json
import os
import random
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psutil
import pytest
from celery import current_app
from django.utils import timezone
from django_celery_results.models import TaskResult

from jobs.dispatch.scheduling import schedule
from jobs.models import AuditEntry, Job
from jobs.states import JOIN
from tests.fake_jobs import nothing
from tests.reliability.scale import FULL_LENGTH
from tests.services import PostgreSQL, RabbitMQ, Redis
from tests.services.managed import Managed
from tests.waiting import wait_until
from tests.worker import hostile
from tests.worker.conftest import StartWorker, pool_children, wait_for_status

SEED = 14
COUNT = 5000 if os.environ.get(FULL_LENGTH) == "1" else 400
EVERY = 100  # one of our own jobs after this many
MAX_GROWTH = 50_000_000  # bytes


def _nothing_of_it_is_taken(
    worker: Managed, send: Callable[[hostile.Hostile], None], waiting: Callable[[], int]
) -> None:
    ours = [wait_for_status(nothing.schedule(), "FINISHED")]
    later = schedule(nothing, {}, at=timezone.now() + timedelta(days=1))
    real = [hostile.well_formed(args=[job.pk, *more]) for job in (ours[0], later) for more in ([], [JOIN])]
    children = pool_children(worker)
    main = psutil.Process(worker.pid)
    before = main.memory_info().rss
    for number, message in enumerate(hostile.messages(SEED, COUNT), start=1):
        send(message)
        if number % EVERY == 0:
            for forged in real:  # as the platform writes them, of jobs that are there: over, and not due
                send(forged)
            ours.append(wait_for_status(nothing.schedule(), "FINISHED"))
    wait_until(lambda: waiting() == 0, timeout=60)
    ours.append(wait_for_status(nothing.schedule(), "FINISHED"))
    assert worker.running
    assert pool_children(worker) == children
    assert main.memory_info().rss - before < MAX_GROWTH
    assert set(Job.objects.values_list("pk", flat=True)) == {later.pk, *(job.pk for job in ours)}
    later.refresh_from_db()
    assert (later.status, later.start_time, later.attempt) == ("SCHEDULED", None, 0)
    print(f"{COUNT} messages, memory {(main.memory_info().rss - before) / 1e6:+.1f} MB", file=sys.stderr)
    assert not TaskResult.objects.exists()
    assert not AuditEntry.objects.exists()
    log = worker.output()
    assert '"action":"refuse_message"' in log
    assert log.count('"action":"refuse_message"') < COUNT / 4, "each reason once a minute"
    assert "Traceback" not in log


@pytest.fixture
def worker(start_worker: StartWorker) -> Managed:
    return start_worker("w1")


@pytest.mark.needs("postgresql", "rabbitmq")
def test_nothing_that_an_outsider_sends_by_rabbitmq_is_taken(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, worker: Managed
) -> None:
    with current_app.connection_for_write() as connection:
        channel = connection.channel()
        _nothing_of_it_is_taken(
            worker,
            lambda message: hostile.to_rabbitmq(channel, message, "default"),
            lambda: sum(rabbitmq.queues().values()),
        )


@pytest.mark.needs("redis")
def test_nothing_that_an_outsider_sends_by_redis_is_taken(redis: Redis, worker: Managed) -> None:
    client, dice = redis.connect(), random.Random(SEED)
    _nothing_of_it_is_taken(
        worker,
        lambda message: hostile.to_redis(client, message, "default", dice),
        lambda: client.llen("default") + client.hlen("unacked"),
    )


@pytest.mark.needs("redis")
def test_what_redis_gives_back_unacknowledged_ends_no_worker(redis: Redis, start_worker: StartWorker) -> None:
    """kombu puts it back when a worker connects: what is no message would end that worker, and the next."""
    client: Any = redis.connect()
    job = nothing.schedule()
    (queue,) = client.keys("default*")  # one for each priority
    good = json.loads(client.lpop(queue))
    group = good | {"headers": good["headers"] | {"task": "celery.group"}}
    junk: list[str | bytes] = ["junk", "5", "[1, 2, 3]", "[" * 5000, b"\xff\xfe", "[5, 6, 7]", '[{}, [], "default"]']
    for number, text in enumerate([*junk, json.dumps([group, "default", "default"])]):
        client.hset("unacked", str(number), text)
        client.zadd("unacked_index", {str(number): 0})
    client.hset("unacked", "good", json.dumps([good, "default", "default"]))
    client.zadd("unacked_index", {"good": 1})
    worker = start_worker("w1")
    wait_for_status(job, "FINISHED")
    wait_until(lambda: client.hlen("unacked") == 0 and client.llen("default") == 0, timeout=30, message=worker.output)
    wait_for_status(nothing.schedule(), "FINISHED")
    assert worker.running
    assert "it was not acknowledged, and is not a message" in worker.output()
    assert "Could not restore" not in worker.output()
    assert Job.objects.count() == 2
