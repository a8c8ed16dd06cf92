"""A body that ends badly, its process included: the job ends as EXCEPTION, its lock is free, the worker goes on."""

import os
import signal
from pathlib import Path

import pytest

from locks.models import Lock
from tests.waiting import wait_until
from tests.worker.bodies import BAD_ENDS, end_badly, quick_with_lock, survive_sigterm
from tests.worker.conftest import StartWorker, first_line, is_alive, pool_children, wait_for_end, wait_for_status

LOST = {
    "os_exit": "exitcode 7",
    "sigkill": "signal 9 (SIGKILL)",
    "segfault": "signal 11 (SIGSEGV)",
}


def test_every_bad_end_ends_the_job_and_the_worker_goes_on(start_worker: StartWorker) -> None:
    worker = start_worker(concurrency=1)
    for how in BAD_ENDS.keys() - {"wait"}:
        job = wait_for_end(end_badly.schedule(how=how))
        if how in LOST:
            assert job.exception_type == "WorkerLost", how
            assert "w1@" in job.outcome.exception, how
            assert LOST[how] in job.outcome.exception, job.outcome.exception
        else:
            assert job.exception_type in {"BodyExited", "UnpicklableError"}, f"{how}: {job.outcome.exception}"
        assert not Lock.objects.filter(holder_id__isnull=False).exists(), how
        wait_for_status(quick_with_lock.schedule(), "FINISHED")
    assert worker.running


@pytest.mark.parametrize("how", ["os_exit", "sigkill"])
def test_the_lock_is_free_only_when_nothing_that_the_job_started_is_left(
    start_worker: StartWorker, scratch: Path, how: str
) -> None:
    start_worker()
    writer = scratch / "writer"
    job = wait_for_end(end_badly.schedule(how=how, writer=str(writer)))
    written = writer.stat().st_size
    assert job.exception_type == "WorkerLost"
    assert not is_alive(first_line(writer))
    wait_for_status(quick_with_lock.schedule(), "FINISHED")
    assert writer.stat().st_size == written


def test_sigterm_to_a_child_is_no_end_of_its_job(start_worker: StartWorker) -> None:
    """systemd sends it to every process of a service; the grace period is the main process's to keep."""
    worker = start_worker(concurrency=1)
    for _ in range(2):
        wait_for_status(survive_sigterm.schedule(), "FINISHED")
    (child,) = pool_children(worker)
    os.kill(child, signal.SIGTERM)  # one without a job ends
    wait_until(lambda: not is_alive(child))
    wait_for_status(survive_sigterm.schedule(), "FINISHED")
