"""Celery's pools without processes: time limits and cutting a job off need a process, everything else works."""

import signal
from pathlib import Path

import pytest

from tests.fake_jobs import nothing
from tests.fake_jobs.lasting import wait_for_file
from tests.waiting import stays
from tests.worker.conftest import StartWorker, status, wait_for_status


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_pool_without_processes_runs_jobs_and_waits_for_them_at_the_end(
    start_worker: StartWorker, scratch: Path, pool: str
) -> None:
    worker = start_worker(options=["--pool", pool])
    for _ in range(3):
        wait_for_status(nothing.schedule(), "FINISHED")
    job = wait_for_status(wait_for_file.schedule(path=str(scratch / "end")), "RUNNING")
    worker.signal(signal.SIGTERM)
    stays(lambda: worker.running, seconds=2)
    (scratch / "end").touch()
    assert worker.wait(timeout=20) == 0
    assert status(job) == "FINISHED"
