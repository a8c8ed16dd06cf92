"""The threads of a participant run on one processor, the one that its main thread was put on last.

They share Python's lock, so one of them runs at a time wherever they are: on several processors each hand-over of the
lock has to wake another processor, and takes from others what this process cannot use. The main thread is free: when it
wakes, the kernel puts it where there is room, and its threads follow it there. So two participants do not stay on one
processor while another is idle.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_FOLLOW_SECONDS: Final = 0.1
_STAT: Final = Path("/proc/thread-self/stat")
_PROCESSOR: Final = 36  # the index of the processor's number, counted from after the command's name


class OneCpu:
    def __init__(self) -> None:
        self._cpu: set[int] = set()  # one number; empty if it cannot be determined
        self._follow_at = 0.0  # monotonic

    def follow(self, threads: Iterable[threading.Thread]) -> None:
        """Move these threads to the calling thread's processor. Call it often: it acts once in ``_FOLLOW_SECONDS``."""
        if (now := time.monotonic()) < self._follow_at:
            return
        self._follow_at = now + _FOLLOW_SECONDS
        found = _here()
        if found != self._cpu:
            self._cpu = found
            for thread in threads:
                self._bind(thread.native_id)

    def bind(self) -> None:
        """Make the calling thread one of those that share the processor."""
        self._bind(threading.get_native_id())

    def _bind(self, thread: int | None) -> None:
        if thread and self._cpu:
            with contextlib.suppress(OSError):  # it has ended, or the processor may not be used any more
                os.sched_setaffinity(thread, self._cpu)


def _here() -> set[int]:
    try:
        stat = _STAT.read_text()
    except OSError:  # this is not Linux
        return set()
    return {int(stat.rpartition(")")[2].split()[_PROCESSOR])}
