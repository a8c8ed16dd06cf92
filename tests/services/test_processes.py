"""The real processes that tests start: a job goes its whole way through them."""

import pytest

from jobs.states import Status
from tests.fake_jobs import add
from tests.services import RabbitMQ
from tests.services.postgresql import PostgreSQL
from tests.services.processes import Platform
from tests.waiting import wait_until


def test_a_worker_runs_a_job_of_this_process(platform: Platform) -> None:
    platform.worker()
    _runs_a_job()


@pytest.mark.needs("postgresql", "rabbitmq")
def test_a_worker_runs_a_job_on_postgresql_and_rabbitmq(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, platform: Platform
) -> None:
    platform.worker()
    _runs_a_job()


def _runs_a_job() -> None:
    job = add.schedule(a=2, b=3)

    def finished() -> bool:
        job.refresh_from_db()
        return job.status == Status.FINISHED.value

    wait_until(finished, message=lambda: f"{job} is {job.status}")
    assert job.outcome.result == '{"sum": 5}'
