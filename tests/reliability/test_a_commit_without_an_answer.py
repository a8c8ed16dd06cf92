"""A web server cut off from the database after a COMMIT says that it can't know the outcome, and keeps its word."""

from collections.abc import Iterator
from typing import Any

import pytest

from jobs.models import AuditEntry, IdempotencyKey, Job
from tests.reliability.conftest import Fleet, ended
from tests.services import PostgreSQL, RabbitMQ
from tests.services.managed import Managed
from tests.services.relay import Relay
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")

SYNC = ("/api/v1.0/device_syncto", {"all": True})
COMMIT = b"COMMIT\x00"
NOT_KNOWN = "it is not known whether a job was scheduled"


@pytest.fixture
def relay(postgresql: PostgreSQL) -> Iterator[Relay]:
    with Relay(postgresql.port) as relay:
        yield relay


def _web(fleet: Fleet, relay: Relay) -> Managed:
    web = fleet.platform.web(env={"DATABASE_URL": relay.url(fleet.platform.env["DATABASE_URL"])})
    wait_until(lambda: fleet.platform.get("/api/v1.0/jobs")[0] == 200, timeout=20)
    return web


def _post(fleet: Fleet, key: str | None = "k") -> tuple[int, Any]:
    return fleet.platform.post(*SYNC, headers={} if key is None else {"Idempotency-Key": key})[:2]


def _cut_off_in_commit(fleet: Fleet, relay: Relay, key: str | None = "k") -> str:
    """POST a sync whose COMMIT arrives and whose answer does not. Returns what the client is told."""
    relay.cut_after(COMMIT)
    status, answer = _post(fleet, key)
    assert status == 503, answer
    assert NOT_KNOWN in answer["message"]
    return str(answer["message"])


def _stored() -> Job:
    """The commit arrived, all the same."""
    job = wait_until(lambda: Job.objects.first())
    assert job is not None
    return job


def _healed(fleet: Fleet, relay: Relay, web: Managed) -> None:
    relay.heal()
    wait_until(lambda: "whose request was answered 503" in web.output(), timeout=30, message=web.output)


def test_a_job_that_ran_meanwhile_is_what_a_repetition_gets(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet, relay: Relay
) -> None:
    fleet.beat()
    fleet.worker()
    web = _web(fleet, relay)
    assert "with the same Idempotency-Key" in _cut_off_in_commit(fleet, relay)
    job = ended(_stored())
    _healed(fleet, relay, web)
    assert "withdrawn" not in web.output()
    assert _post(fleet) == (200, {**_accepted(job), "data": "Scheduled job to synchronize all devices"})
    assert Job.objects.get().status == "FINISHED"
    assert AuditEntry.objects.filter(job_id=job.pk, action="scheduled").exists()


def _accepted(job: Job) -> dict[str, Any]:
    return {"status": "success", "job_id": job.pk}


def test_a_job_that_still_waits_is_taken_back_and_a_repetition_makes_another(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet, relay: Relay
) -> None:
    web = _web(fleet, relay)
    _cut_off_in_commit(fleet, relay)
    first = _stored()
    _healed(fleet, relay, web)
    assert not Job.objects.exists()
    assert not IdempotencyKey.objects.exists()
    said = AuditEntry.objects.filter(job_id=first.pk).order_by("id").values_list("action", flat=True)
    assert list(said) == ["scheduled", "withdrawn"]
    status, answer = _post(fleet)
    assert (status, answer["job_id"]) == (200, Job.objects.get().pk)
    assert answer["job_id"] > first.pk


def test_one_that_is_repeated_before_the_outcome_is_known_gets_its_job(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet, relay: Relay
) -> None:
    """Over another web server, which reaches the database."""
    cut_off = _web(fleet, relay)
    _cut_off_in_commit(fleet, relay)
    fleet.platform.web("other")
    status, answer = _post(fleet)
    assert (status, answer["job_id"]) == (200, Job.objects.get().pk)
    _healed(fleet, relay, cut_off)
    assert Job.objects.get().pk == answer["job_id"]


def test_the_job_of_an_answered_request_is_not_taken_back_because_a_repetition_is_cut_off(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet, relay: Relay
) -> None:
    web = _web(fleet, relay)
    status, answer = _post(fleet)
    assert status == 200
    _cut_off_in_commit(fleet, relay)
    relay.heal()
    wait_until(lambda: fleet.platform.get("/api/v1.0/jobs")[0] == 200, timeout=20)
    stays(lambda: Job.objects.filter(pk=answer["job_id"]).exists(), seconds=1)
    assert "whose request was answered 503" not in web.output()


def test_without_a_key_nobody_is_told_to_repeat(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet, relay: Relay
) -> None:
    web = _web(fleet, relay)
    assert "Look for the job before you repeat" in _cut_off_in_commit(fleet, relay, key=None)
    _healed(fleet, relay, web)
    assert not Job.objects.exists()
