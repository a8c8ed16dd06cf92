"""TLS to the broker: it gets messages only with a certificate from a known authority for the name in the URL."""

import shutil
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from celery import current_app

from cnaasjobs.conf.parsing import broker_tls
from jobs.broker import publisher
from jobs.broker.connection import Broker
from jobs.broker.opening import BrokerUnavailable
from tests.services import RabbitMQ, Redis, scratch_directory
from tests.services.base import free_port
from tests.services.certificates import Certificate, issue
from tests.switching import on_broker
from tests.waiting import wait_until


def is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def issued() -> Iterator[Certificate]:
    directory = scratch_directory("tls")
    yield issue(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def rabbitmq_with_tls(issued: Certificate) -> Iterator[int]:
    """Its port."""
    port, directory = free_port(), scratch_directory("rabbitmq-tls")
    settings = {
        "ssl_listeners": f'[{{"0.0.0.0", {port}}}]',
        "ssl_options": f'[{{cacertfile, "{issued.authority}"}}, {{certfile, "{issued.certificate}"}},'
        f' {{keyfile, "{issued.key}"}}]',
    }
    server = RabbitMQ(directory, settings=settings).start()
    wait_until(partial(is_open, port))  # this listener begins after the one that start() asks
    yield port
    server.kill()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def redis_with_tls(issued: Certificate, scratch: Path) -> Iterator[int]:
    """Its port."""
    port = free_port()
    settings = {
        "bind": "0.0.0.0",
        "tls-port": str(port),
        "tls-ca-cert-file": str(issued.authority),
        "tls-cert-file": str(issued.certificate),
        "tls-key-file": str(issued.key),
        "tls-auth-clients": "no",
    }
    server = Redis(scratch / "redis", settings=settings).start()
    yield port
    server.kill()


@pytest.fixture
def known(issued: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.authority))


def send(url: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As the settings have it. Returns the ids of what was not sent."""
    with on_broker(url):
        monkeypatch.setitem(current_app.conf, "broker_use_ssl", broker_tls(url))
        message = publisher.Message(job_id=1, task_name="tests.fake_jobs.nothing", queue="default", priority=0)
        unsent = publisher.publish([message])
        broker = Broker(2.0)
        if unsent:
            with pytest.raises(BrokerUnavailable):
                broker.probe()
        else:
            broker.probe()
        broker.drop()
    return unsent


@pytest.mark.needs("rabbitmq")
@pytest.mark.usefixtures("known")
def test_rabbitmq_gets_the_message_under_the_name_in_its_certificate(
    rabbitmq_with_tls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(f"amqps://guest:guest@127.0.0.1:{rabbitmq_with_tls}//", monkeypatch) == []


@pytest.mark.needs("rabbitmq")
@pytest.mark.usefixtures("known")
def test_rabbitmq_gets_nothing_under_another_name(rabbitmq_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"amqps://guest:guest@127.0.0.2:{rabbitmq_with_tls}//", monkeypatch) == [1]


@pytest.mark.needs("rabbitmq")
def test_rabbitmq_gets_nothing_if_nobody_knows_its_authority(
    rabbitmq_with_tls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(f"amqps://guest:guest@127.0.0.1:{rabbitmq_with_tls}//", monkeypatch) == [1]


@pytest.mark.needs("rabbitmq")
@pytest.mark.usefixtures("known")
def test_the_second_of_a_list_gets_the_message_when_the_first_does_not_answer(
    rabbitmq_with_tls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(f"amqps://u:p@127.0.0.2:1//;amqps://guest:guest@127.0.0.1:{rabbitmq_with_tls}//", monkeypatch) == []


@pytest.mark.needs("redis")
@pytest.mark.usefixtures("known")
def test_redis_gets_the_message_under_the_name_in_its_certificate(
    redis_with_tls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(f"rediss://127.0.0.1:{redis_with_tls}/0", monkeypatch) == []


@pytest.mark.needs("redis")
@pytest.mark.usefixtures("known")
def test_redis_gets_nothing_under_another_name(redis_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"rediss://127.0.0.2:{redis_with_tls}/0", monkeypatch) == [1]


@pytest.mark.needs("redis")
def test_redis_gets_nothing_if_nobody_knows_its_authority(redis_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"rediss://127.0.0.1:{redis_with_tls}/0", monkeypatch) == [1]
