"""A recurring Celery task that is not a job: which queue its message is sent to."""

import pytest

from jobs.beat.recurring import Recurring
from tests.factory import ago, every
from tests.services import Redis
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs("redis")]


@pytest.mark.parametrize(("priority", "served"), [(None, 9), (0, 9), (7, 2), (9, 0), (255, 0)])
def test_redis_serves_a_plain_task_by_its_priority_as_rabbitmq_does(
    redis: Redis, priority: int | None, served: int
) -> None:
    """Redis has a list for each priority, and serves that of the lowest number first."""
    every(3600, task="tests.fake_jobs.plain", args="[21]", priority=priority, last_run_at=ago(days=1))
    beat = Recurring()
    beat.step()
    beat.close()
    expected = f"default\x06\x16{served}" if served else "default"
    with redis.connect() as connection:
        wait_until(lambda: [key.decode() for key in connection.keys("default*")] == [expected])
