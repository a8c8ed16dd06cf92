"""Finished devices: collected in the process, written at most every ``CNAASJOBS_PROGRESS_SECONDS`` for a job."""

import json
import os
import threading
import time
from collections.abc import Callable

from cnaasjobs.conf import conf
from cnaasjobs.events import record
from jobs.actions import JobAction


class Progress:
    """The finished devices of one run. The last write comes with the job's end, in its transaction."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """``write`` stores the JSON list; it is called in another thread, and may fail while the database is away."""
        self._write = write
        self._devices: dict[str, None] = {}  # a set that keeps its order
        self._mutex = threading.Lock()
        self._writing = threading.Lock()
        self._is_due = False
        self._closed = False

    def device_finished(self, device: str) -> None:
        with self._mutex:
            self._devices[device] = None
            if self._is_due or self._closed:
                return
            self._is_due = True
        _writer_of_this_process().add(self)

    def as_json(self) -> str:
        with self._mutex:
            return json.dumps(list(self._devices), ensure_ascii=False)

    def close(self) -> None:
        """No write begins after this; one under way has ended."""
        with self._mutex:
            self._closed = True
            was_due, self._is_due = self._is_due, False
        if was_due:
            _writer_of_this_process().remove(self)
        with self._writing:
            pass

    def flush(self) -> None:
        with self._writing:
            with self._mutex:
                if self._closed:
                    return
                self._is_due = False
            try:
                self._write(self.as_json())
            except Exception as exc:  # noqa: BLE001  it is only for display; the end of the job writes it in full
                record(JobAction.PROGRESS_FAILED, error=str(exc))


class _Writer(threading.Thread):
    """Writes what is due for all runs of this process.

    A single thread, because most jobs end before it has anything to do.
    """

    def __init__(self) -> None:
        super().__init__(name="jobs-progress", daemon=True)
        self.pid = os.getpid()
        self._changed = threading.Condition()
        self._due: dict[Progress, float] = {}  # on the monotonic clock, the earliest first
        self._has_nothing = False

    def add(self, progress: Progress) -> None:
        with self._changed:
            self._due[progress] = time.monotonic() + conf.progress_seconds
            if self._has_nothing:  # else it looks in time anyway: short jobs must not wake it each time
                self._changed.notify()

    def remove(self, progress: Progress) -> None:
        with self._changed:
            self._due.pop(progress, None)

    def run(self) -> None:
        while True:
            self._next().flush()

    def _next(self) -> Progress:
        with self._changed:
            while True:
                first = next(iter(self._due), None)
                wait = None if first is None else self._due[first] - time.monotonic()
                if first is not None and wait is not None and wait <= 0:
                    del self._due[first]
                    return first
                self._has_nothing = first is None
                self._changed.wait(wait)


_writer: _Writer | None = None
_starting = threading.Lock()


def _writer_of_this_process() -> _Writer:
    global _writer
    if _writer is None or _writer.pid != os.getpid():  # a thread does not outlive a fork
        with _starting:
            if _writer is None or _writer.pid != os.getpid():
                _writer = _Writer()
                _writer.start()
    return _writer
