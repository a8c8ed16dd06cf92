"""A body that ends badly, its process included: the job ends as EXCEPTION, its lock is free, the worker goes on."""

import os
import signal
import sys
from pathlib import Path

import pytest

from jobs.testing import result_of
from locks.models import Lock
from tests.fake_jobs import with_lock
from tests.fake_jobs.ends import BAD_ERRORS, LOST_PROCESS, end_badly_with_lock, in_processes
from tests.fake_jobs.lasting import survive_sigterm, wait_for_file
from tests.services import Redis
from tests.waiting import wait_until
from tests.worker.conftest import (
    StartWorker,
    first_line,
    is_alive,
    pool_children,
    reason,
    wait_for_end,
    wait_for_status,
)

LOST = {
    "os_exit": "exitcode 7",
    "sigkill": "signal 9 (SIGKILL)",
    "segfault": "signal 11 (SIGSEGV)",
}


def test_every_bad_end_ends_the_job_and_the_worker_goes_on(start_worker: StartWorker) -> None:
    worker = start_worker(concurrency=1)
    for how in [*BAD_ERRORS, *LOST_PROCESS]:
        job = wait_for_end(end_badly_with_lock.schedule(how=how))
        if how in LOST:
            assert job.exception_type == "WorkerLost", how
            assert "w1@" in reason(job), how
            assert LOST[how] in reason(job), reason(job)
        else:
            assert job.exception_type in {"BodyExited", "UnpicklableError", "UnshowableError"}, f"{how}: {reason(job)}"
        assert not Lock.objects.filter(holder_id__isnull=False).exists(), how
        wait_for_status(with_lock.schedule(), "FINISHED")
    assert worker.running


def test_a_body_starts_programs_and_no_processes_of_multiprocessing(start_worker: StartWorker) -> None:
    start_worker(concurrency=1)
    for how in ("multiprocessing", "ProcessPoolExecutor"):
        job = wait_for_end(in_processes.schedule(how=how))
        assert "daemonic processes are not allowed to have children" in reason(job), how
    assert result_of(wait_for_status(in_processes.schedule(how="program"), "FINISHED")) == "3"


@pytest.mark.parametrize("how", ["os_exit", "sigkill"])
def test_the_lock_is_free_only_when_nothing_that_the_job_started_is_left(
    start_worker: StartWorker, scratch: Path, how: str
) -> None:
    start_worker()
    writer = scratch / "writer"
    job = wait_for_end(end_badly_with_lock.schedule(how=how, writer=str(writer)))
    written = writer.stat().st_size
    assert job.exception_type == "WorkerLost"
    assert not is_alive(first_line(writer))
    wait_for_status(with_lock.schedule(), "FINISHED")
    assert writer.stat().st_size == written


@pytest.mark.needs("redis")
@pytest.mark.parametrize("how", ["down", "frozen"])
def test_a_lost_child_is_reported_while_the_broker_is_away(
    redis: Redis, start_worker: StartWorker, scratch: Path, how: str
) -> None:
    worker = start_worker(concurrency=1)
    job = wait_for_status(wait_for_file.schedule(path=str(scratch / "end")), "RUNNING")
    {"down": redis.kill, "frozen": redis.freeze}[how]()
    (child,) = pool_children(worker)
    os.kill(child, signal.SIGKILL)
    wait_for_end(job, timeout=10)
    assert job.exception_type == "WorkerLost"
    assert "SIGKILL" in reason(job)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the children")
def test_a_killed_parent_leaves_no_child_that_goes_on(start_worker: StartWorker, scratch: Path) -> None:
    worker = start_worker()
    wait_for_status(wait_for_file.schedule(path=str(scratch / "end")), "RUNNING")
    children = pool_children(worker)
    assert len(children) == 2
    worker.kill()
    wait_until(lambda: not any(is_alive(child) for child in children))


def test_sigterm_to_a_child_is_no_end_of_its_job(start_worker: StartWorker) -> None:
    """systemd sends it to every process of a service; the main process keeps the grace period."""
    worker = start_worker(concurrency=1)
    for _ in range(2):
        wait_for_status(survive_sigterm.schedule(), "FINISHED")
    (child,) = pool_children(worker)
    os.kill(child, signal.SIGTERM)  # one without a job ends
    wait_until(lambda: not is_alive(child))
    wait_for_status(survive_sigterm.schedule(), "FINISHED")
