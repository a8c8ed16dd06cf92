"""Promise 7: a job longer than RabbitMQ's consumer_timeout is not started again, and nobody waits for it."""

import shutil
from collections.abc import Iterator

import pytest

from jobs.dispatch.scheduling import schedule, schedule_many
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import operate, until
from tests.reliability.conftest import Fleet, finished, lives
from tests.services import PostgreSQL, RabbitMQ
from tests.services.base import scratch_directory
from tests.switching import on_broker
from tests.waiting import stays

CONSUMER_TIMEOUT_SECONDS = 3


@pytest.fixture
def impatient() -> Iterator[RabbitMQ]:
    """A RabbitMQ that soon closes the channel of a consumer that does not acknowledge."""
    directory = scratch_directory("impatient")
    milliseconds = str(CONSUMER_TIMEOUT_SECONDS * 1000)
    looks_often = "+sbwt none +S 2:2 -rabbit channel_tick_interval 500"
    server = RabbitMQ(directory, settings={"consumer_timeout": milliseconds}, erlang=looks_often)
    try:
        server.start()
        with on_broker(server.url):
            yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.long
@pytest.mark.needs("postgresql", "rabbitmq")
def test_a_job_longer_than_the_consumer_timeout_runs_once_and_delays_nobody(
    postgresql: PostgreSQL, impatient: RabbitMQ, fleet: Fleet
) -> None:
    fleet.platform.env["CELERY_BROKER_URL"] = impatient.url
    fleet.beat()
    for name in ("w1", "w2"):
        fleet.worker(name)
    end = fleet.directory / "end"
    # Three of four slots are taken: more messages wait at the broker than fit, while the long jobs run.
    lasting = [schedule(until, {"path": str(end)}) for _ in range(3)]
    for job in lasting:
        fleet.wait_for(Event.BEGIN, job)
    begun = schedule(operate, {"count": 3, "seconds": CONSUMER_TIMEOUT_SECONDS / 3 * 2})
    fleet.wait_for(Event.BEGIN, begun)
    waiting = schedule_many(operate, [{}] * 10)
    finished([begun, *waiting], timeout=30)
    stays(lambda: all(map(lives, lasting)), seconds=2 * CONSUMER_TIMEOUT_SECONDS)
    finished(schedule_many(operate, [{}] * 5), timeout=10)
    end.touch()
    finished(lasting)
    assert set(fleet.begins([*lasting, begun, *waiting]).values()) == {1}
    assert "timeout" not in (impatient.directory / "rabbitmq.log").read_text()
