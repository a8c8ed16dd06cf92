"""A worker that lost its broker, silently or not, soon takes jobs again, and does not flood the broker meanwhile."""

from collections.abc import Callable, Iterator

import pytest
from celery import current_app

from tests.fake_jobs import nothing
from tests.services import RabbitMQ
from tests.services.processes import Platform
from tests.services.relay import Relay
from tests.switching import forget_broker_connections
from tests.waiting import stays, wait_until
from tests.worker.conftest import StartWorker, wait_for_status

pytestmark = pytest.mark.needs("rabbitmq")

# The dead connection is noticed within 20 s; a message that the broker sent to it meanwhile is missed after 10 s.
SOON_SECONDS = 60.0


@pytest.fixture
def relay(rabbitmq: RabbitMQ) -> Iterator[Relay]:
    with Relay(rabbitmq.port) as relay:
        yield relay


def _clients_reset(relay: Relay, rabbitmq: RabbitMQ) -> None:
    """Only the broker believes that the connection is alive."""
    relay.reset_clients()


def _stranded(relay: Relay, rabbitmq: RabbitMQ) -> None:
    """Both believe that it is alive, and nothing passes."""
    relay.strand()


def _restarted(relay: Relay, rabbitmq: RabbitMQ) -> None:
    rabbitmq.restart()
    forget_broker_connections()  # this process's


@pytest.mark.parametrize(
    ("lose", "options", "remote_control"),
    [
        pytest.param(_clients_reset, [], "0", id="reset"),
        pytest.param(_clients_reset, [], "1", id="reset with remote control"),
        pytest.param(_stranded, [], "0", id="stranded"),
        pytest.param(_stranded, ["-E"], "1", id="stranded with events and remote control"),
        pytest.param(_restarted, [], "0", id="restarted", marks=pytest.mark.breaks_rabbitmq),
    ],
)
def test_a_worker_that_lost_its_broker_starts_jobs_again_soon(
    rabbitmq: RabbitMQ,
    platform: Platform,
    start_worker: StartWorker,
    relay: Relay,
    lose: Callable[[Relay, RabbitMQ], None],
    options: list[str],
    remote_control: str,
) -> None:
    platform.beat()
    env = {"CELERY_BROKER_URL": relay.url(rabbitmq.url), "CNAASJOBS_REMOTE_CONTROL": remote_control}
    worker = start_worker(env=env, options=options)
    wait_for_status(nothing.schedule(), "FINISHED")
    lose(relay, rabbitmq)
    wait_for_status(nothing.schedule(), "FINISHED", timeout=SOON_SECONDS)
    wait_for_status(nothing.schedule(), "FINISHED", timeout=SOON_SECONDS)
    connects = worker.output().count("Connected to")
    assert 2 <= connects <= 4, f"{connects} connections"
    assert "RESOURCE_LOCKED" not in worker.output()


def test_a_broker_that_refuses_each_connection_is_tried_every_few_seconds(
    rabbitmq: RabbitMQ, platform: Platform, start_worker: StartWorker
) -> None:
    """As one does on which a queue stands that was declared otherwise."""
    with current_app.connection_for_write() as broker:
        other = {"x-expires": 600_000}
        broker.default_channel.queue_declare("default", durable=True, auto_delete=False, arguments=other)
    worker = start_worker(wait=False)
    refused = "PRECONDITION_FAILED"
    wait_until(lambda: refused in worker.output(), timeout=30)
    stays(lambda: worker.running and worker.output().count("Connected to") <= 6, seconds=12)
    with current_app.connection_for_write() as broker:
        broker.default_channel.queue_delete("default")
    wait_for_status(nothing.schedule(), "FINISHED", timeout=SOON_SECONDS)


def test_a_worker_never_gives_up() -> None:
    assert current_app.conf.broker_connection_max_retries is None
