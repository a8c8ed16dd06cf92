"""Jobs and tasks for the worker's tests, loaded by the real workers that these start."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import shared_task
from celery.exceptions import Ignore, Reject
from django.db import connection

from jobs.task import JobContext, job

# A process that a job starts: its pid, then a byte whenever it is still alive. "$0" is the file.
_WRITER = "import os, sys, time\nf = open(sys.argv[1], 'a')\nf.write(f'{os.getpid()}\\n'); f.flush()\n"
_WRITER += "while True: f.write('.'); f.flush(); time.sleep(0.02)"


def start_writer(path: str) -> None:
    subprocess.Popen([sys.executable, "-c", _WRITER, path])
    while not (Path(path).exists() and Path(path).read_text().endswith(".")):
        time.sleep(0.01)


@job
def quick(ctx: JobContext, *, value: Any = None) -> Any:
    return value


@job(lock="devices")
def quick_with_lock(ctx: JobContext) -> str:
    return "done"


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


@job
def sleep(ctx: JobContext, *, seconds: float) -> None:
    time.sleep(seconds)


@job(lock="devices")
def end_badly(ctx: JobContext, *, how: str, writer: str | None = None) -> None:
    """Ends as ``how`` says, perhaps leaving a process behind that would go on."""
    if writer is not None:
        start_writer(writer)
    BAD_ENDS[how]()


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
def plain_stamp(path: str) -> None:
    """Writes when it started."""
    Path(path).write_text(str(time.time()))


@shared_task
def plain_nothing() -> None:
    return None


class UnpicklableError(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("this exception cannot be pickled")


class NotToBeUnpickledError(BaseException):
    """Goes through pickle, and cannot be made again on the other side. Not an Exception: Celery lets it pass."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def _raise(exc: BaseException) -> Callable[[], None]:
    def end() -> None:
        raise exc

    return end


BAD_ENDS: dict[str, Callable[[], None]] = {
    "wait": lambda: time.sleep(60),
    "os_exit": lambda: os._exit(7),
    "sigkill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "system_exit": _raise(SystemExit(3)),
    "keyboard_interrupt": _raise(KeyboardInterrupt()),
    "memory_error": _raise(MemoryError()),
    "generator_exit": _raise(GeneratorExit()),
    "not_to_be_unpickled": _raise(NotToBeUnpickledError("a", "b")),
    "unpicklable": _raise(UnpicklableError("why")),
    "ignore": _raise(Ignore()),
    "reject": _raise(Reject("why")),
}
