"""Jobs and tasks that last until a test, a limit or the worker ends them, or say which process runs them."""

import os
import signal
import threading
import time
from pathlib import Path

from celery import shared_task
from django.db import connection, transaction

from jobs.task import JobContext, job
from tests.fake_jobs.writer import start_writer


@job
def wait_for_file(ctx: JobContext, *, path: str, seconds: float = 60) -> int:
    """Runs until somebody creates the file. Returns the pid of its process."""
    until = time.monotonic() + seconds
    while not Path(path).exists() and time.monotonic() < until:
        time.sleep(0.02)
    return os.getpid()


@job
def survive_sigterm(ctx: JobContext) -> str:
    os.kill(os.getpid(), signal.SIGTERM)
    return "finished"


@job(lock="devices", time_limit=1)
def too_long(ctx: JobContext, *, writer: str | None = None) -> None:
    """Cannot be told to stop."""
    if writer is not None:
        start_writer(writer)
    while True:
        time.sleep(60)


@job(lock="devices", soft_time_limit=0.5, time_limit=20)
def told_to_stop(ctx: JobContext, *, path: str) -> None:
    """Its own thread sleeps; another works on devices until its next safe point."""

    def work() -> None:
        with Path(path).open("a") as devices:
            while not ctx.stopping:
                devices.write(".")
                devices.flush()
                time.sleep(0.02)
            devices.write("stopped")

    threading.Thread(target=work).start()
    time.sleep(60)


@job(soft_time_limit=2, time_limit=3)
def short_limit(ctx: JobContext, *, path: str) -> str:
    """Ends before its limits, as soon as the file is there."""
    while not Path(path).exists():
        time.sleep(0.01)
    return "stored after all"


@job(rerun_if_lost=True)
def rerun(ctx: JobContext, *, path: str) -> int:
    if ctx.attempt == 1:
        Path(path).touch()
        time.sleep(60)
    return ctx.attempt


@job
def backend_pid(ctx: JobContext) -> str:
    """The process of PostgreSQL that serves this child."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return str(cursor.fetchone()[0])


@shared_task
def plain_wait(path: str) -> int:
    while not Path(path).exists():
        time.sleep(0.02)
    return os.getpid()


@shared_task
def plain_touch(path: str) -> None:
    Path(path).touch()


@shared_task
def plain_open() -> None:
    """Leaves a transaction open."""
    transaction.atomic().__enter__()


@shared_task
def plain_nothing() -> None:
    return None
