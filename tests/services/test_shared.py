"""What the processes of a run share, and what they must not share."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from amqp.exceptions import NotAllowed

from tests.services import RabbitMQ
from tests.services.namespace import Namespace
from tests.services.shared import shared_rabbitmq


@pytest.mark.needs("rabbitmq")
def test_one_rabbitmq_is_shared_and_nobody_breaks_it(rabbitmq: RabbitMQ, run_directory: Path) -> None:
    again = shared_rabbitmq(run_directory)
    assert (again.directory, again.port) == (rabbitmq.directory, rabbitmq.port)
    for breaks in ("stop", "kill", "restart", "wipe", "start", "freeze", "block_publishers"):
        with pytest.raises(AssertionError, match="breaks_rabbitmq"):
            getattr(rabbitmq, breaks)()
    assert rabbitmq.is_ready()


@pytest.mark.needs("rabbitmq")
def test_a_virtual_host_is_new_and_goes_when_it_is_left(run_directory: Path) -> None:
    server = shared_rabbitmq(run_directory)
    for _ in range(2):
        server.use_new_vhost()
        assert server.queues() == {}
        with server.connect() as connection:
            connection.channel().queue_declare("default")
        assert server.queues() == {"default": 0}
        server.leave_vhost()
        with pytest.raises(NotAllowed):
            server.connect()


@pytest.mark.needs("rabbitmq")
def test_many_ask_it_at_once(rabbitmq: RabbitMQ) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(rabbitmq.evaluate, [f"{number}." for number in range(40)])] == [*map(str, range(40))]


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("rabbitmq")
def test_a_test_that_breaks_rabbitmq_has_another_than_the_shared_one(rabbitmq: RabbitMQ, run_directory: Path) -> None:
    rabbitmq.freeze()
    assert shared_rabbitmq(run_directory).is_ready()
    rabbitmq.thaw()


@pytest.mark.needs("netns")
def test_each_host_has_a_network_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where two processes look for one from the same number on."""
    monkeypatch.setattr("os.getpid", lambda: 4711)
    with ExitStack() as stack:
        hosts = [stack.enter_context(Namespace()) for _ in range(3)]
        assert len({host.here for host in hosts}) == 3
