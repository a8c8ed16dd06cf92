"""TLS to the broker: only one whose certificate a known authority made out to the name in the URL gets our messages."""

import datetime
import ipaddress
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from celery import current_app
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cnaasjobs.conf.parsing import broker_tls
from jobs.broker import publisher
from jobs.broker.connection import Broker
from jobs.broker.opening import BrokerUnavailable
from tests.services import RabbitMQ, Redis, scratch_directory
from tests.services.base import free_port
from tests.switching import on_broker


class Certificate(NamedTuple):
    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def issued() -> Iterator[Certificate]:
    """Made out to 127.0.0.1 by an authority of its own."""
    directory = scratch_directory("tls")
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())

    def made(name: str, public_key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> Path:
        builder = x509.CertificateBuilder(
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]),
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            public_key=public_key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=1),
        ).add_extension(extension, critical=False)
        path = directory / f"{name}.pem"
        path.write_bytes(builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    server = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    authority = x509.BasicConstraints(ca=True, path_length=None)
    key_file = directory / "key.pem"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    yield Certificate(
        made("authority", authority_key.public_key(), authority), made("server", key.public_key(), server), key_file
    )
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def rabbitmq_with_tls(issued: Certificate) -> Iterator[int]:
    """Its port."""
    port, directory = free_port(), scratch_directory("rabbitmq-tls")
    settings = {
        "listeners.ssl.1": f"0.0.0.0:{port}",
        "ssl_options.cacertfile": str(issued.authority),
        "ssl_options.certfile": str(issued.certificate),
        "ssl_options.keyfile": str(issued.key),
    }
    server = RabbitMQ(directory, settings=settings).start()
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
def test_rabbitmq_by_its_name(rabbitmq_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"amqps://guest:guest@127.0.0.1:{rabbitmq_with_tls}//", monkeypatch) == []


@pytest.mark.needs("rabbitmq")
@pytest.mark.usefixtures("known")
def test_rabbitmq_under_another_name(rabbitmq_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"amqps://guest:guest@127.0.0.2:{rabbitmq_with_tls}//", monkeypatch) == [1]


@pytest.mark.needs("rabbitmq")
def test_rabbitmq_of_an_authority_that_nobody_knows(rabbitmq_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"amqps://guest:guest@127.0.0.1:{rabbitmq_with_tls}//", monkeypatch) == [1]


@pytest.mark.needs("rabbitmq")
@pytest.mark.usefixtures("known")
def test_the_second_of_a_list(rabbitmq_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"amqps://u:p@127.0.0.2:1//;amqps://guest:guest@127.0.0.1:{rabbitmq_with_tls}//", monkeypatch) == []


@pytest.mark.needs("redis")
@pytest.mark.usefixtures("known")
def test_redis_by_its_name(redis_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"rediss://127.0.0.1:{redis_with_tls}/0", monkeypatch) == []


@pytest.mark.needs("redis")
@pytest.mark.usefixtures("known")
def test_redis_under_another_name(redis_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"rediss://127.0.0.2:{redis_with_tls}/0", monkeypatch) == [1]


@pytest.mark.needs("redis")
def test_redis_of_an_authority_that_nobody_knows(redis_with_tls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"rediss://127.0.0.1:{redis_with_tls}/0", monkeypatch) == [1]
