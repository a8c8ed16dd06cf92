"""Promise 4, and what the API says, while the database takes no writes: a failover, a guard against a full disk."""

import pytest

from jobs.dispatch.scheduling import schedule
from jobs.testing import result_of
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import until
from tests.reliability.conftest import Fleet, ended, running, status_of
from tests.reliability.scale import scaled
from tests.services import PostgreSQL, RabbitMQ
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")

AWAY_SECONDS = 90.0
WRITES = [
    ("POST", "/api/v1.0/device_syncto", {"all": True}),
    ("POST", "/api/v1.0/device_syncto", {"all": True, "start_at": "2050-01-01"}),
    ("PUT", "/api/v1.0/job/1001", {"action": "ABORT"}),
    ("DELETE", "/api/v1.0/joblocks", {"name": "devices"}),
]


def test_a_body_that_ends_meanwhile_keeps_its_result_and_the_api_says_what_is_wrong(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    fleet.beat()
    fleet.worker()
    fleet.web()
    web = fleet.platform
    end = fleet.directory / "end"
    job = running(schedule(until, {"path": str(end)}))
    fleet.wait_for(Event.BEGIN, job)
    wait_until(lambda: web.get("/readyz")[0] == 200, timeout=20)

    postgresql.take_no_writes()
    end.touch()
    fleet.wait_for(Event.END, job)
    for method, path, body in WRITES:
        status, answer, headers = web.request(method, path, body, headers={"Idempotency-Key": "k"})
        message = "The database takes no writes now, try again later"
        assert (status, answer) == (503, {"status": "error", "message": message})
        assert headers["Retry-After"]
    assert web.get("/api/v1.0/jobs")[0] == 200
    status, answer, _ = web.get("/readyz")
    assert (status, answer["data"]["database"]) == (503, "takes no writes")
    assert "database takes no writes" in answer["message"]
    stays(lambda: status_of(job) == "RUNNING", seconds=scaled(AWAY_SECONDS), interval=0.5)
    postgresql.take_writes_again()

    ended(job)
    assert (job.status, result_of(job)) == ("FINISHED", "done")
    status, answer, _ = web.request(*WRITES[0], headers={"Idempotency-Key": "k"})
    assert status == 200
    assert answer["job_id"] == job.pk + 1, "the refused ones scheduled nothing"
    wait_until(lambda: web.get("/readyz")[0] == 200, timeout=20)
