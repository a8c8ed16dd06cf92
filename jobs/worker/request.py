"""One message of a job, and the run that it leads to, as the worker's main process sees them.

It makes the run's token, and knows when the run is over.
"""

import os
import re
from typing import Any
from uuid import uuid4

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import Terminated, WorkerLostError
from celery.exceptions import TimeLimitExceeded
from celery.worker import state
from celery.worker.request import Request

from jobs.body import cells
from jobs.end_reasons import EndReason
from jobs.worker.ends import reporter
from jobs.worker.heartbeat import heartbeat
from jobs.worker.in_progress import InProgress


class JobRequest(Request):
    """Adds what the child needs for its claim: ``run_token``, ``worker_id``, ``worker``, ``cell``."""

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **options)
        self.run_token = str(uuid4())
        self.cell: int | None = None
        self.end_reported = False
        self.pool_result: Any = None
        self._request_dict.update(run_token=self.run_token, worker_id=heartbeat.row_id, worker=self.hostname)

    def __init_subclass__(cls, **options: Any) -> None:
        # For each task Celery derives a class from this one, whose execute_using_pool and on_success never call ours.
        super().__init_subclass__(**options)
        execute_using_pool, on_success = cls.execute_using_pool, cls.on_success

        def execute(self: "JobRequest", pool: Any, **kwargs: Any) -> Any:
            self.hand_over()
            try:
                result = execute_using_pool(self, pool, **kwargs)
            except BaseException:  # revoked, or it cannot be pickled: no child will get it
                self.over()
                raise
            self.pool_result = result
            if result is None:  # the pool is closing
                self.over()
            return result

        def succeeded(self: "JobRequest", outcome: tuple[bool, Any, float], **kwargs: Any) -> None:
            failed, returned, _ = outcome
            if failed and isinstance(_raised(returned), SystemExit | KeyboardInterrupt | MemoryError):
                self.on_failure(returned)  # Celery would raise this here, and the worker would end
                return
            on_success(self, outcome, **kwargs)
            self.over()

        cls.execute_using_pool = execute
        cls.on_success = succeeded

    @property
    def job_id(self) -> int:
        job_id = self.args[0] if self.args else None
        return job_id if isinstance(job_id, int) else 0

    @property
    def pid(self) -> int | None:
        """The child that runs it; None while none has taken it."""
        told = cells.read(self.cell)
        pid: int | None = (told.pid if told is not None and told.pid else None) or self.worker_pid
        return None if pid == os.getpid() else pid  # a pool without processes: nothing can be killed

    @property
    def stage(self) -> cells.Stage:
        told = cells.read(self.cell)
        if told is not None:
            return told.stage
        return cells.Stage.RUNNING if self.worker_pid else cells.Stage.WAITING

    def hand_over(self) -> None:
        self.cell = cells.take()
        self._request_dict["cell"] = self.cell
        in_progress.add(self)

    def over(self) -> None:
        """Nothing is left to report about it: forget it, and free its cell of shared memory."""
        if not self.end_reported and in_progress.discard(self):
            self._release()

    def end_stored(self) -> None:
        """``ends`` has stored how it ended: forget it too."""
        in_progress.discard(self)
        self._release()

    def _release(self) -> None:
        self.pool_result = None
        if self.cell is not None:
            cells.give_back(self.cell)
            self.cell = None

    def is_forgotten(self) -> bool:
        """Celery dropped it with the connection to the broker, and will not say how it ended."""
        cache = getattr(self.pool_result, "_cache", None)
        return cache is not None and self.pool_result._job not in cache

    def never_left(self) -> bool:
        """Whether nothing of it was written to a child."""
        return getattr(self.pool_result, "_write_to", None) is None

    # --- what Celery tells --------------------------------------------------------------------------------------------

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """The child has stored the end itself (``return_ok``), or could not, and then it is reported from here."""
        if return_ok:
            super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=True)
            self.over()
            return
        state.task_ready(self)
        exc = _raised(exc_info)
        pid = self.pid
        if isinstance(exc, TimeLimitExceeded):
            message = f"the job ran longer than Celery's time limit of {exc} seconds"
            reporter.report(self, type=EndReason.TIME_LIMIT_EXCEEDED, message=message, pid=pid)
        elif isinstance(exc, WorkerLostError | Terminated | SystemExit | KeyboardInterrupt):
            reporter.report(self, type=EndReason.WORKER_LOST, message=self.lost_message(_how(exc)), pid=pid)
        else:
            message = f"worker {self.hostname} could not run the job to its end: {exc}"
            reporter.report(self, type=type(exc).__name__[:64], message=message, pid=None)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """A limit that was set in Celery for all tasks; ``on_failure`` is called too, and reports the end."""

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Celery's cold shutdown (SIGQUIT)."""
        self.cut_off(EndReason.WORKER_SHUTDOWN, f"worker {self.hostname} was told to stop at once")
        state.task_ready(self)
        self._already_cancelled = True

    def cut_off(self, type: EndReason, message: str) -> bool:
        """Kill its process with everything that it started, and report that.

        False, with nothing done, if no process has it or its end was reported before.
        """
        pid = self.pid
        return pid is not None and reporter.report(self, type=type, message=message, pid=pid)

    def lost_message(self, how: str) -> str:
        return f"worker {self.hostname} lost the process of the job (pid {self.pid}): {how}"


in_progress: InProgress[JobRequest] = InProgress()


def _raised(exc_info: Any) -> BaseException:
    exc: BaseException = exc_info.exception
    return exc.exc if isinstance(exc, ExceptionWithTraceback) else exc


def _how(exc: BaseException) -> str:
    if isinstance(exc, WorkerLostError):
        return re.sub(r"^Worker exited prematurely: (.*?)( Job: \d+)?\.$", r"\1", str(exc))
    if isinstance(exc, Terminated):
        return "it was terminated"
    return f"{type(exc).__name__}: {exc}"
