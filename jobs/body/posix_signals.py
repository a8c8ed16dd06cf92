"""POSIX signals in the process that runs a body. (Celery's signals are in ``jobs.signals``.)

SIGUSR1, the soft time limit, raises in the body's own thread while the body runs, and at no other time: an exception in
the middle of a claim, or while an end is being stored, would lose the run. (Billiard's handler raises wherever the
process happens to be.) The main process (``jobs.worker.watch``) repeats the signal until one has taken effect.

SIGTERM does nothing to a job: stopping a worker may send it to all its processes (systemd does, unless told otherwise),
and the main process keeps the grace period, and ends a job's process by SIGKILL.
"""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from celery import current_task
from celery.exceptions import SoftTimeLimitExceeded

from jobs.body import cells

T = TypeVar("T")

_terminate: Any = signal.SIG_DFL  # billiard's, for a process without a job


def call_body(body: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """The soft limit may interrupt this call, and only this."""
    return body(*args, **kwargs)


def undisturbed(call: Callable[[], T], *, struck: Callable[[], None]) -> T:
    """Inside this call, in the body, the soft limit raises nothing. The handler of the signal calls ``struck`` instead,
    whatever this thread is doing; it finds it in the frame of this function.
    """
    return call()


def install() -> None:
    """Call this in the child before each job: billiard sets its own handlers after every hook that Celery offers."""
    global _terminate
    signal.signal(signal.SIGUSR1, _strike)
    before = signal.signal(signal.SIGTERM, _hold)
    if before is not _hold:
        _terminate = before


def _strike(signum: int, frame: FrameType | None) -> None:
    request = _request_of_job()
    if request is None:
        raise SoftTimeLimitExceeded  # Celery's own limit of another task
    struck = _undisturbed_by(frame)
    if struck is not None:
        cells.soft_limit_struck(request)
        struck()
    elif _in_body(frame):
        cells.soft_limit_struck(request)
        request.job.ctx.soft_limit_strikes()
        raise SoftTimeLimitExceeded


def _hold(signum: int, frame: FrameType | None) -> None:
    if _request_of_job() is None and callable(_terminate):
        _terminate(signum, frame)


def _request_of_job() -> Any:
    request = current_task.request if current_task else None
    return request if getattr(request, "cell", None) is not None else None


def _undisturbed_by(frame: FrameType | None) -> Callable[[], None] | None:
    while frame is not None:
        if frame.f_code is undisturbed.__code__:
            struck: Callable[[], None] = frame.f_locals["struck"]
            return struck
        frame = frame.f_back
    return None


def _in_body(frame: FrameType | None) -> bool:
    # With the frame of call_body itself on top, the body has not begun or has just ended.
    frame = frame.f_back if frame is not None and frame.f_code is not call_body.__code__ else None
    while frame is not None:
        if frame.f_code is call_body.__code__:
            return True
        frame = frame.f_back
    return False
