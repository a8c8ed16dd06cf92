"""The private services themselves: what the fixtures promise to the tests that use them."""

import ctypes
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import amqp
import psutil
import pytest
from celery import current_app
from django.contrib.auth import get_user_model
from django.db import connection

from tests.services import PostgreSQL, RabbitMQ, Redis
from tests.services.base import Broker, Service, is_in_memory
from tests.switching import broker_url
from tests.waiting import wait_until


@pytest.mark.needs("postgresql")
def test_django_uses_the_private_postgresql(postgresql: PostgreSQL) -> None:
    get_user_model().objects.create_user("someone")

    assert connection.vendor == "postgresql"
    assert postgresql.execute("SELECT username FROM auth_user") == [("someone",)]


@pytest.mark.needs("postgresql")
def test_each_test_has_a_database_of_its_own(postgresql: PostgreSQL) -> None:
    assert get_user_model().objects.count() == 0


@pytest.mark.needs("postgresql")
def test_postgresql_comes_back_after_a_crash_with_its_data(postgresql: PostgreSQL) -> None:
    get_user_model().objects.create_user("someone")
    postgresql.kill()
    postgresql.start()

    assert postgresql.execute("SELECT count(*) FROM auth_user") == [(1,)]


@pytest.mark.needs("postgresql")
def test_postgresql_is_killed_when_nobody_holds_its_memory_any_more(postgresql: PostgreSQL) -> None:
    block = int((postgresql.data / "postmaster.pid").read_text().splitlines()[6].split()[1])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    held = ctypes.c_void_p(libc.shmat(block, None, 0))
    assert held.value != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
    killing = threading.Thread(target=postgresql.kill)
    killing.start()
    killing.join(0.3)
    waited = killing.is_alive()
    assert libc.shmdt(held) == 0
    killing.join(30)
    assert waited
    postgresql.start()


@pytest.mark.long
@pytest.mark.needs("postgresql")
def test_a_database_is_dropped_although_a_session_in_it_is_slow_to_end(postgresql: PostgreSQL) -> None:
    name = "slow"
    postgresql.create_database(name)
    with closing(postgresql.connect(name)) as session, ThreadPoolExecutor(1) as pool:
        backend = psutil.Process(session.info.backend_pid)
        backend.suspend()
        dropping = pool.submit(postgresql.drop_database, name)
        assert postgresql.process is not None
        postgresql.process.wait_for_output(f'database "{name}" is being accessed by other users')
        backend.resume()
        dropping.result(60)
    assert postgresql.execute("SELECT 1 FROM pg_database WHERE datname = %s", name) == []


@pytest.mark.needs("postgresql")
def test_what_postgresql_keeps_in_shared_memory_is_in_its_directory(postgresql: PostgreSQL) -> None:
    if is_in_memory(postgresql.directory):  # else it is where PostgreSQL has it, and stays when a server is killed
        assert [*(postgresql.data / "pg_dynshmem").glob("mmap.*")] != []


@pytest.mark.needs("rabbitmq")
def test_two_rabbitmq_run_side_by_side(rabbitmq: RabbitMQ, scratch: Path) -> None:
    with RabbitMQ(scratch) as second:
        second.use_new_vhost()

        assert rabbitmq.is_ready()
        assert second.queues() == {}
        assert broker_url() == rabbitmq.url != second.url


def _frozen_and_thawed(service: Service) -> None:
    service.freeze()
    assert not service.is_ready()
    service.thaw()
    wait_until(service.is_ready)


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("rabbitmq")
def test_a_frozen_rabbitmq_goes_on_when_thawed(rabbitmq: RabbitMQ) -> None:
    _frozen_and_thawed(rabbitmq)


@pytest.mark.needs("redis")
def test_a_frozen_redis_goes_on_when_thawed(redis: Redis) -> None:
    _frozen_and_thawed(redis)


def _put(broker: Broker, queue: str) -> None:
    with current_app.connection_for_write(broker.url) as connection:
        connection.SimpleQueue(queue).put("x")


@pytest.mark.needs("rabbitmq")
def test_a_purged_queue_is_empty(rabbitmq: RabbitMQ) -> None:
    _put(rabbitmq, "default")
    assert rabbitmq.queues() == {"default": 1}

    rabbitmq.purge()
    assert rabbitmq.queues() == {"default": 0}


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("rabbitmq")
def test_a_rabbitmq_that_starts_again_has_what_was_on_its_disk(rabbitmq: RabbitMQ) -> None:
    with rabbitmq.connect() as connection:
        channel = connection.channel()
        channel.confirm_select()
        for queue, durable in (("kept", True), ("lost", False)):
            channel.queue_declare(queue, durable=durable, auto_delete=False)
            for mode in (1, 2):
                channel.basic_publish_confirm(amqp.Message("x", delivery_mode=mode), routing_key=queue)

    rabbitmq.stop()

    assert not rabbitmq.is_ready()
    rabbitmq.start()
    assert rabbitmq.queues() == {"kept": 1}

    rabbitmq.wipe()

    assert rabbitmq.queues() == {}
    _put(rabbitmq, "default")
