"""Promise 4: the result of a finished body waits for the database, however long that is away."""

import pytest

from jobs.dispatch.scheduling import schedule
from jobs.testing import result_of
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import until_with_limits
from tests.reliability.conftest import Fleet, ended, running
from tests.reliability.scale import scaled, within
from tests.services import PostgreSQL, RabbitMQ
from tests.waiting import stays

OUTAGE_SECONDS = 300.0  # longer than the job's time limits, and than the grace period of a shutdown


@pytest.mark.long
@pytest.mark.needs("postgresql", "rabbitmq")
@pytest.mark.parametrize("sigterm", [False, True], ids=["worker goes on", "worker told to end"])
def test_a_result_survives_an_outage_longer_than_limits_and_grace(
    sigterm: bool, postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    fleet.beat()
    worker = fleet.worker()
    end = fleet.directory / "end"
    job = running(schedule(until_with_limits, {"path": str(end)}))
    fleet.wait_for(Event.BEGIN, job)
    postgresql.stop()
    end.touch()
    fleet.wait_for(Event.END, job)
    if sigterm:
        worker.signal(15)
    stays(lambda: worker.running, seconds=scaled(OUTAGE_SECONDS), message="the worker left its result behind")
    postgresql.start()
    ended(job, timeout=within(60))
    assert (job.status, result_of(job)) == ("FINISHED", "done")
    if sigterm:
        assert worker.wait(timeout=30) == 0
