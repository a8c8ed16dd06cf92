"""Ends of runs that the process running the body cannot report: it is gone, was cut off, or failed itself.

A report waits until nothing of the run can still change a device, then until the database accepts it. It is idempotent:
only a run that is still RUNNING under its token is ended, so the first report decides.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.lifecycle import transitions
from jobs.worker import connections
from jobs.worker.processes import Doomed

_KILL_AGAIN_SECONDS: Final = 0.05
_DATABASE_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 10.0


class EndingRequest(Protocol):
    """What a report needs of a run's request; ``jobs.worker.request.JobRequest`` is one."""

    run_token: str
    end_reported: bool

    @property
    def job_id(self) -> int: ...

    def end_stored(self) -> None:
        """Called when its end is stored: it is no longer in progress."""


@dataclass(frozen=True)
class _End:
    request: EndingRequest
    type: str
    message: str
    doomed: Doomed | None  # its process, if that does not go on


class Reporter(threading.Thread):
    """Stores ends, in its own thread with its own database connection."""

    def __init__(self) -> None:
        super().__init__(name="jobs-ends", daemon=True)
        self._pending: list[_End] = []
        self._changed = threading.Condition()
        self._logged_at = -_LOG_SECONDS

    def report(self, request: EndingRequest, *, type: str, message: str, pid: int | None) -> bool:
        """End this run. Returns False if its end was reported before.

        Args:
            pid: its process, to be killed with all that it started; None if that is healthy and goes on.
        """
        with self._changed:
            if request.end_reported:
                return False
            request.end_reported = True
            doomed = None if pid is None else Doomed(pid)
            if doomed is not None:
                doomed.kill()
            self._pending.append(_End(request, type, message, doomed))
            self._changed.notify()
        return True

    @property
    def is_idle(self) -> bool:
        """Whether every reported end is stored."""
        return not self._pending

    def run(self) -> None:
        while True:
            with self._changed:
                while not self._pending:
                    self._changed.wait()
                pending = list(self._pending)
            stored = [end for end in pending if self._settle(end)]
            with self._changed:
                self._pending = [end for end in self._pending if end not in stored]
            if len(stored) < len(pending):
                time.sleep(_KILL_AGAIN_SECONDS)

    def _settle(self, end: _End) -> bool:
        if end.doomed is not None and not end.doomed.gone():
            end.doomed.kill()
            return False
        request = end.request
        try:
            with connections.in_main_process():
                transitions.lose(request.job_id, UUID(request.run_token), type=end.type, message=end.message)
        except Exception as exc:  # noqa: BLE001  the kind of error decides what to do
            if not_now(exc):
                self._wait_for_database(request.job_id, exc)
                return False
            # Upkeep finds the run later; a worker that shuts down must not wait for this forever.
            record(JobAction.END_FAILED, exc=exc, job_id=request.job_id)
        request.end_stored()
        return True

    def _wait_for_database(self, job_id: int, exc: Exception) -> None:
        if time.monotonic() - self._logged_at > _LOG_SECONDS:
            self._logged_at = time.monotonic()
            record(JobAction.END_WAITS, job_id=job_id, error=str(exc))
        connections.close()
        time.sleep(_DATABASE_SECONDS)


reporter = Reporter()
