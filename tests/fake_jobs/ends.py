"""Jobs that end in ways that a body must not, and that the platform must survive."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from celery.exceptions import Ignore, Reject

from jobs.task import JobContext, JobResult, job
from tests.fake_jobs.writer import start_writer


@job
def end_badly(ctx: JobContext, *, how: str) -> Any:
    return BAD_ENDS[how]()


@job
def in_processes(ctx: JobContext, *, how: str) -> Any:
    """Computes in processes of its own."""
    if how == "program":
        return subprocess.run([sys.executable, "-c", "print(1 + 2)"], capture_output=True, text=True).stdout.strip()
    pool: Any = multiprocessing.Pool if how == "multiprocessing" else ProcessPoolExecutor
    with pool(2) as started:
        return sum(started.map(abs, [-1, -2]))


@job(lock="devices")
def end_badly_with_lock(ctx: JobContext, *, how: str, writer: str | None = None) -> Any:
    """Perhaps it leaves a process behind that would go on."""
    if writer is not None:
        start_writer(writer)
    return BAD_ENDS[how]()


class UnpicklableError(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("this exception cannot be pickled")


class UnshowableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class NotToBeUnpickledError(BaseException):
    """Goes through pickle, and cannot be made again on the other side. Not an Exception: Celery lets it pass."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def _raise(exc: BaseException) -> Callable[[], Any]:
    def end() -> None:
        raise exc

    return end


def _recursive() -> Any:
    endless: list[Any] = []
    endless.append(endless)
    return endless


BAD_RESULTS: Mapping[str, Callable[[], Any]] = {
    "bytes": lambda: b"bytes",
    "nan": lambda: {"a": float("nan")},
    "nul": lambda: {"a": ["x\x00y"]},
    "surrogate": lambda: "\ud800",
    "object": lambda: {"a": object()},
    "recursion": _recursive,
    "bad_score": lambda: JobResult("x", change_score=101),
    "bool_score": lambda: JobResult("x", change_score=True),
}
BAD_ERRORS: Mapping[str, Callable[[], Any]] = {
    "unpicklable": _raise(UnpicklableError("secret recipe")),
    "unshowable": _raise(UnshowableError()),
    "system_exit": _raise(SystemExit(3)),
    "keyboard_interrupt": _raise(KeyboardInterrupt()),
    "memory_error": _raise(MemoryError()),
    "generator_exit": _raise(GeneratorExit()),
    "not_to_be_unpickled": _raise(NotToBeUnpickledError("a", "b")),
    "ignore": _raise(Ignore()),
    "reject": _raise(Reject("why")),
}
LOST_PROCESS: Mapping[str, Callable[[], Any]] = {
    "os_exit": lambda: os._exit(7),
    "sigkill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
}
BAD_ENDS: Mapping[str, Callable[[], Any]] = {
    **BAD_RESULTS,
    **BAD_ERRORS,
    **LOST_PROCESS,
    "wait": lambda: time.sleep(60),
}
