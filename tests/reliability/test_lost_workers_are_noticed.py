"""Promise 3: the jobs of a dead worker are rescued in time, those of a live worker never."""

import time
from collections.abc import Callable

import pytest

from jobs.dispatch.scheduling import schedule
from jobs.models import Job
from jobs.testing import exception_of
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import operate_locked, until
from tests.reliability.conftest import Fleet, ended, finished, lives, running
from tests.reliability.scale import scaled, within
from tests.services import PostgreSQL, RabbitMQ
from tests.services.managed import Managed
from tests.waiting import stays

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")

RESCUE_SECONDS = 60.0
AWAY_SECONDS = 600.0


def _kill_child(fleet: Fleet, worker: Managed, job: Job) -> None:
    """As the kernel does when memory is short."""
    pid = fleet.wait_for(Event.BEGIN, job).pid
    next(child for child in worker.children() if child.pid == pid).kill()


def _kill_main_process(fleet: Fleet, worker: Managed, job: Job) -> None:
    worker.kill()


def _power_off(fleet: Fleet, worker: Managed, job: Job) -> None:
    """Nothing of it answers any more, and no connection is closed."""
    worker.freeze()


DEATHS = {"child killed": _kill_child, "main process killed": _kill_main_process, "power off": _power_off}


@pytest.mark.parametrize("how", DEATHS)
def test_a_dead_workers_job_is_rescued_its_lock_free_and_the_next_started(
    how: str, postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    fleet.beat()
    worker = fleet.worker()
    job = schedule(operate_locked, {"count": 10_000, "seconds": 0.05})
    fleet.wait_for(Event.GO, job)
    fleet.worker("second")
    following = schedule(operate_locked, {})
    kill: Callable[[Fleet, Managed, Job], None] = DEATHS[how]
    kill(fleet, worker, job)
    died = time.monotonic()
    ended(job, timeout=within(RESCUE_SECONDS))
    finished([following], timeout=within(RESCUE_SECONDS) - (time.monotonic() - died))
    assert job.exception_type == "WorkerLost"
    told = exception_of(job)
    assert told is not None
    assert "w1@" in told["message"]


@pytest.mark.long
@pytest.mark.parametrize("away", [pytest.param("broker", marks=pytest.mark.breaks_rabbitmq), "database"])
def test_a_live_workers_job_is_not_rescued_while_something_is_away(
    away: str, postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    fleet.beat()
    fleet.worker()
    end = fleet.directory / "end"
    job = running(schedule(until, {"path": str(end)}))
    service = rabbitmq if away == "broker" else postgresql
    service.stop()
    stays(lambda: True, seconds=scaled(AWAY_SECONDS))
    service.start()
    stays(lambda: lives(job), seconds=scaled(2 * RESCUE_SECONDS))
    end.touch()
    finished([job])
