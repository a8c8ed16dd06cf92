"""Time limits: the soft one raises in the body, the hard one ends its process; neither strikes after the body."""

from pathlib import Path

import pytest
from django.db import connection, transaction

from jobs.states import Status
from tests.fake_jobs import with_lock
from tests.fake_jobs.lasting import short_limit, told_to_stop, too_long
from tests.services import PostgreSQL
from tests.waiting import stays, wait_until
from tests.worker.conftest import StartWorker, first_line, is_alive, reason, status, wait_for_end, wait_for_status


def test_soft_limit_stops_every_thread_of_the_body(start_worker: StartWorker, scratch: Path) -> None:
    start_worker()
    devices = scratch / "devices"
    job = wait_for_end(told_to_stop.schedule(path=str(devices)))
    assert job.exception_type == "TimeLimitExceeded"
    assert "0.5 seconds" in reason(job)
    assert devices.read_text().endswith("stopped")
    wait_for_status(with_lock.schedule(), "FINISHED")


def test_hard_limit_ends_the_process_and_what_it_started_before_the_lock_is_free(
    start_worker: StartWorker, scratch: Path
) -> None:
    worker = start_worker(concurrency=1)
    writer = scratch / "writer"
    job = wait_for_end(too_long.schedule(writer=str(writer)))
    written = writer.stat().st_size
    assert job.exception_type == "TimeLimitExceeded"
    assert job.finish_time
    assert job.start_time
    assert 1 <= (job.finish_time - job.start_time).total_seconds() < 5
    assert not is_alive(first_line(writer))
    wait_for_status(with_lock.schedule(), "FINISHED")
    assert writer.stat().st_size == written
    assert worker.running


@pytest.mark.needs("postgresql")
def test_no_limit_runs_out_while_postgresql_is_away(
    postgresql: PostgreSQL, start_worker: StartWorker, scratch: Path
) -> None:
    worker = start_worker()
    job = wait_for_status(short_limit.schedule(path=str(scratch / "end")), "RUNNING")
    postgresql.kill()
    (scratch / "end").touch()
    worker.wait_for_output(f"finish of job {job.pk} waits ")
    stays(lambda: "its time limit" not in worker.output(), seconds=4)
    postgresql.start()
    connection.close()
    wait_for_end(job)
    assert job.status == Status.FINISHED, reason(job)


def test_no_limit_runs_out_while_a_finished_bodys_result_waits_for_the_database(
    start_worker: StartWorker, scratch: Path
) -> None:
    start_worker()
    job = short_limit.schedule(path=str(scratch / "end"))
    wait_for_status(job, "RUNNING")
    with transaction.atomic():  # on SQLite nobody else can write then
        if connection.vendor == "postgresql":
            type(job).objects.select_for_update().get(pk=job.pk)
        (scratch / "end").touch()
        stays(lambda: status(job) == Status.RUNNING, seconds=4)
    wait_until(lambda: status(job) != Status.RUNNING, timeout=20)
    assert job.status == Status.FINISHED, reason(job)
    assert job.outcome.result == '"stored after all"'
