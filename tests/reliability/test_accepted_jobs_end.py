"""Promise 1: an accepted job ends, whatever happens to broker, database, web server and Beat after that."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from cnaasjobs.db.clock import database_now
from jobs.dispatch.scheduling import schedule, schedule_many
from jobs.models import Job
from jobs.testing import exception_of
from tests.fake_jobs.ledgered import operate, until
from tests.reliability.conftest import Fleet, ended, finished, running
from tests.reliability.scale import within
from tests.services import PostgreSQL, RabbitMQ
from tests.waiting import takes_less_than, wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")

SYNC = {"hostname": "eosaccess1"}
ANSWER_SECONDS = 2.0
BREAKS: dict[str, tuple[Callable[[RabbitMQ], object], Callable[[RabbitMQ], object]]] = {
    "down": (lambda broker: broker.stop(), lambda broker: broker.start()),
    "frozen": (lambda broker: broker.freeze(), lambda broker: broker.thaw()),
    "blocking its publishers": (lambda broker: broker.block_publishers(), lambda broker: broker.unblock_publishers()),
}


@pytest.mark.breaks_rabbitmq
@pytest.mark.parametrize("how", BREAKS)
def test_a_post_is_answered_in_time_and_rescue_goes_on_while_the_broker_is(
    how: str, postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    fleet.web()
    fleet.beat()
    worker = fleet.worker()
    assert fleet.platform.post("/api/v1.0/device_syncto", SYNC)[0] == 200
    victim = running(schedule(until, {"path": str(fleet.directory / "never")}))
    break_it, mend = BREAKS[how]
    break_it(rabbitmq)
    ids = []
    for _ in range(6):
        with takes_less_than(ANSWER_SECONDS, fleet.platform.pids()):
            status, answer, _headers = fleet.platform.post("/api/v1.0/device_syncto", SYNC, timeout=60)
        assert status == 200
        ids.append(answer["job_id"])
    worker.kill_tree()
    assert ended(victim, timeout=within(60)).exception_type == "WorkerLost"
    mend(rabbitmq)
    fleet.worker("w2")
    finished(Job.objects.filter(pk__in=ids), timeout=60)


@pytest.mark.breaks_rabbitmq
def test_a_web_server_killed_between_commit_and_publish_loses_no_job(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    web = fleet.web()
    rabbitmq.freeze()  # a first publish waits for the broker's greeting: nothing of it can arrive later
    post = threading.Thread(target=fleet.platform.post, args=("/api/v1.0/device_syncto", SYNC))
    post.start()
    wait_until(lambda: Job.objects.filter(dispatched_at__isnull=False).exists(), interval=0.002)
    web.kill_tree()
    rabbitmq.thaw()
    post.join()
    job = Job.objects.get()
    assert (job.status, job.dispatched_at is not None) == ("SCHEDULED", True)  # nobody else would send its message
    fleet.worker()
    fleet.beat()
    finished([job])


def _restarted(broker: RabbitMQ) -> None:
    broker.restart()


def _purged(broker: RabbitMQ) -> None:
    broker.purge()


def _wiped(broker: RabbitMQ) -> None:
    broker.wipe()


@pytest.mark.parametrize(
    "how", [_purged, *(pytest.param(how, marks=pytest.mark.breaks_rabbitmq) for how in (_restarted, _wiped))]
)
def test_no_job_is_lost_with_a_broker(
    how: Callable[[RabbitMQ], None], postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    worker = fleet.worker()
    fleet.beat()
    worker.freeze()  # so that the messages are still at the broker, or in the air
    jobs = schedule_many(operate, [{} for _ in range(20)])
    how(rabbitmq)
    worker.thaw()
    finished(jobs, timeout=60)
    assert set(fleet.begins(jobs).values()) == {1}


def test_no_job_is_lost_with_postgresql_restarted_twice(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    fleet.worker()
    fleet.beat()
    at = database_now() + timedelta(seconds=2)
    jobs = [
        *schedule_many(operate, [{"count": 3, "seconds": 0.1} for _ in range(30)]),
        *schedule_many(operate, [{} for _ in range(10)], at=at),
    ]
    fleet.wait_for_any(jobs)
    for _ in range(2):
        postgresql.restart()
    finished(jobs, timeout=60)
    assert set(fleet.begins(jobs).values()) == {1}


def test_no_delayed_job_is_lost_with_beat(postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet) -> None:
    fleet.worker()
    first = fleet.beat()
    job = schedule(operate, {}, at=database_now() + timedelta(seconds=1.5))
    first.kill_tree()
    wait_until(lambda: database_now() > job.scheduled_time)
    fleet.beat("second")
    finished([job])


def test_a_lost_worker_ends_its_job_in_words(postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet) -> None:
    fleet.beat()
    worker = fleet.worker()
    job = running(schedule(until, {"path": str(fleet.directory / "never")}))
    worker.kill_tree()
    ended(job, timeout=within(60))
    told = exception_of(job)
    assert told is not None
    assert "w1@" in told["message"]
    assert "last seen at" in told["message"]
