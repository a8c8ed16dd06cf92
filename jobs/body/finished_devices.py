"""Finished devices: collected in the process, written at most every ``CNAASJOBS_PROGRESS_SECONDS`` for a job."""

import json
import threading
from collections.abc import Callable
from typing import Final

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.body import written_later
from jobs.models import Job
from jobs.run import Run

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make a new one each time


def write(run: Run, devices: str) -> None:
    """Show these finished devices (a JSON list), as long as the run goes on."""
    Job.objects.filter(pk=run.job_id, run_token=run.run_token).update(finished_devices=devices)


class FinishedDevices:
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
        if not isinstance(device, str):
            raise TypeError(f"ctx.device_finished takes the name of a device, not {device!r:.60}")
        with self._mutex:
            self._devices[device] = None
            if self._is_due:
                return
            self._is_due = True
        written_later.add(self)

    def as_json(self) -> str:
        with self._mutex:
            return _ENCODER.encode(list(self._devices)) if self._devices else "[]"  # most jobs have none

    def close(self) -> None:
        """No write begins after this; one under way has ended."""
        with self._mutex:
            self._closed, is_due = True, self._is_due
        if is_due:
            written_later.remove(self)
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
