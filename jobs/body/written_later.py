"""What a run reports about itself while it goes on: written at most every ``CNAASJOBS_PROGRESS_SECONDS``.

One thread writes for all runs of this process: most jobs end before it has anything to do.
"""

import math
import os
import threading
import time
from typing import Protocol

from cnaasjobs.conf import conf


class Due(Protocol):
    def flush(self) -> None:
        """Write what has gathered. Raises nothing."""


def add(due: Due) -> None:
    """Have the ``flush`` of ``due`` called in a while."""
    if (writer := _of_this_process()) is not None:
        writer.add(due)


def remove(due: Due) -> None:
    """No call of ``flush`` begins after this."""
    if (writer := _of_this_process()) is not None:
        writer.remove(due)


class _Writer(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="jobs-progress", daemon=True)
        self.pid = os.getpid()
        self._changed = threading.Condition()
        self._due: dict[Due, float] = {}  # on the monotonic clock
        self._looks_at = 0.0

    def add(self, due: Due) -> None:
        with self._changed:
            self._due[due] = time.monotonic() + conf.progress_seconds
            if self._due[due] < self._looks_at:  # else it looks in time anyway: short jobs must not wake it each time
                self._changed.notify()

    def remove(self, due: Due) -> None:
        with self._changed:
            self._due.pop(due, None)

    def run(self) -> None:
        while True:
            self._next().flush()

    def _next(self) -> Due:
        with self._changed:
            while True:
                first = min(self._due, key=self._due.__getitem__, default=None)
                self._looks_at = math.inf if first is None else self._due[first]
                wait = self._looks_at - time.monotonic()
                if first is not None and wait <= 0:
                    del self._due[first]
                    return first
                self._changed.wait(None if first is None else wait)


_writer: _Writer | None = None
_starting = threading.Lock()


def _of_this_process() -> _Writer | None:
    """None while the system allows no more threads: then all of it is written at the end of the run."""
    global _writer
    if _writer is None or _writer.pid != os.getpid():  # a thread does not outlive a fork
        with _starting:
            if _writer is None or _writer.pid != os.getpid():
                new = _Writer()
                try:
                    new.start()
                except RuntimeError:
                    return None
                _writer = new
    return _writer
