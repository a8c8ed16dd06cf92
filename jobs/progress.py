"""Finished devices: collected in the process, written at most every ``CNAASJOBS_PROGRESS_SECONDS`` for a job."""

import json
import logging
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError

log = logging.getLogger(__name__)


class Progress:
    """The finished devices of one run. The last write comes with the job's end, in its transaction."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """``write`` stores the JSON list; a timer's thread calls it, and it may fail while the database is away."""
        self._write = write
        self._devices: dict[str, None] = {}  # a set that keeps the order
        self._mutex = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False

    def device_finished(self, device: str) -> None:
        with self._mutex:
            self._devices[device] = None
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(settings.CNAASJOBS_PROGRESS_SECONDS, self._flush)
                self._timer.daemon = True
                self._timer.start()

    def as_json(self) -> str:
        with self._mutex:
            return json.dumps(list(self._devices), ensure_ascii=False)

    def close(self) -> None:
        """No write begins after this; one under way has ended."""
        with self._mutex:
            self._closed = True
            timer = self._timer
        if timer is not None:
            timer.cancel()
            timer.join()

    def _flush(self) -> None:
        with self._mutex:
            if self._closed:
                return
            self._timer = None
        try:
            self._write(self.as_json())
        except DatabaseError as exc:  # progress is for the eye; the end of the job writes it in full
            log.warning("progress not written: %s", exc, extra={"action": "progress"})
