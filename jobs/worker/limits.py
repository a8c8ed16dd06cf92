"""The soft time limit in the process that runs the body: SIGUSR1 raises in the body's own thread, and nowhere else.

Billiard's handler raises wherever the process is. Ours knows when it is in a body: an exception in the middle of a
claim, or of storing an end, would lose the run. The main process (``jobs.worker.watch``) sends the signal again until
one struck.
"""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from celery import current_task
from celery.exceptions import SoftTimeLimitExceeded

from jobs.worker import slots

T = TypeVar("T")


def call_body(body: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """The soft limit may strike inside this call."""
    return body(*args, **kwargs)


def install() -> None:
    """In the child, before each job: billiard sets its own handler after every hook that Celery gives."""
    if signal.getsignal(signal.SIGUSR1) is not _strike:
        signal.signal(signal.SIGUSR1, _strike)


def _strike(signum: int, frame: FrameType | None) -> None:
    request = current_task.request if current_task else None
    if getattr(request, "slot", None) is None:  # not a job: Celery's own limit
        raise SoftTimeLimitExceeded
    if _in_body(frame):
        slots.soft_limit_struck(request)
        raise SoftTimeLimitExceeded


def _in_body(frame: FrameType | None) -> bool:
    # The frame of call_body itself, on top, is just before or after the body.
    frame = frame.f_back if frame is not None and frame.f_code is not call_body.__code__ else None
    while frame is not None:
        if frame.f_code is call_body.__code__:
            return True
        frame = frame.f_back
    return False
