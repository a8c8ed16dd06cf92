"""Promises 1 to 3 in the middle of the commit of a job's result: it is stored as a whole, or not at all."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction

from jobs.dispatch.scheduling import schedule
from jobs.models import Job
from jobs.testing import result_of
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import until, until_then
from tests.reliability.conftest import Fleet, ended, finished, running
from tests.reliability.scale import within
from tests.services import PostgreSQL, RabbitMQ
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


@contextmanager
def _in_its_commit(job: Job, fleet: Fleet, postgresql: PostgreSQL) -> Iterator[int]:
    """The body is over, and the statement that stores its result waits for the job's row. Its process."""
    pid = fleet.wait_for(Event.BEGIN, job).pid
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=job.pk)
        (fleet.directory / "end").touch()
        wait_until(lambda: postgresql.execute("SELECT 1 FROM pg_locks WHERE NOT granted"), message="it did not come")
        yield pid


def test_a_process_that_dies_between_its_statements_leaves_none_of_them(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    """Its successor was inserted before; the lock is free for the next in line."""
    fleet.beat()
    worker = fleet.worker()
    job = running(schedule(until_then, {"path": str(fleet.directory / "end")}))
    following = schedule(until_then, {"path": str(fleet.directory / "end")})
    with _in_its_commit(job, fleet, postgresql) as pid:
        next(child for child in worker.children() if child.pid == pid).kill()
    assert ended(job, timeout=within(60)).exception_type == "WorkerLost"
    finished([following])
    assert job.next_job_id is None
    assert Job.objects.filter(task_name="tests.fake_jobs.ledgered.operate").count() == 1
    assert fleet.begins([job, following]) == {job.pk: 1, following.pk: 1}


def test_a_worker_that_dies_before_it_acknowledges_the_message_has_stored_the_result(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    """From a quorum queue, whose messages it acknowledges late: the broker gives this one to another worker."""
    fleet.platform.env["CNAASJOBS_QUORUM_QUEUES"] = "1"
    fleet.beat()
    worker = fleet.worker(concurrency=1)
    job = running(schedule(until, {"path": str(fleet.directory / "end")}))
    second = fleet.worker("second", concurrency=1)
    with _in_its_commit(job, fleet, postgresql):
        worker.signal(signal.SIGKILL)
    assert ended(job).status == "FINISHED"
    second.wait_for_output("it is FINISHED")
    assert (result_of(job), fleet.begins([job])) == ("done", {job.pk: 1})
