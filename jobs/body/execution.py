"""One run, in the process that runs its body: from the claim to an end that can be stored."""

import json
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.body import job_log, posix_signals, slots
from jobs.body.context import JobContext, RetryingTask
from jobs.end_reasons import Failure
from jobs.errors import BodyExited
from jobs.outcome import Outcome, outcome_of
from jobs.run import Run


class BodyTask(RetryingTask, Protocol):
    """What a run needs of its task; ``jobs.task.JobTask`` is one."""

    run: Callable[..., Any]
    job_soft_time_limit: float | None

    @property
    def request(self) -> Any: ...


class Execution:
    """One run, in the process that runs its body: from the claim to a stored end."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ctx = JobContext(run)
        self.outcome: Outcome | None = None
        self.failure: Failure | None = None  # what was raised, before Celery wraps an exception that cannot be pickled
        self.kept: str | None = None  # the result of a body that raised (``ctx.keep``), as stored

    def run_body(self, task: BodyTask) -> None:
        """Run the body to its end, with all its threads.

        Raises:
            Exception: the body's own, JobStopped, ResultNotStorable or BodyExited. Never one that would end the
            process.
        """
        self.ctx.task = task
        try:
            try:
                with job_log.kept_in(self.ctx.log):
                    try:
                        returned = self._in_body(task)
                    finally:
                        self.ctx.wait_for_threads()
            finally:
                self.ctx.close()
            if self.ctx.retry_asked is not None:
                raise self.ctx.retry_asked
            self.outcome = outcome_of(returned, finished_devices=self.ctx.progress.as_json())
        except Exception as exc:
            self.failure = Failure.of(exc, traceback=traceback.format_exc())
            self.kept = self._kept(exc)
            raise

    def _kept(self, exc: Exception) -> str | None:
        if self.ctx.result_until is None or isinstance(exc, Retry):
            return None
        try:
            return outcome_of(self.ctx.result_until(exc), finished_devices=None).result
        except BaseException as lost:  # noqa: BLE001  secondary: the end itself must be stored
            record(JobAction.KEPT_LOST, exc=lost, job_id=self.run.job_id)
            return None

    def _in_body(self, task: BodyTask) -> Any:
        arguments = json.loads(self.run.start_arguments)
        try:
            slots.running(task.request)
            return posix_signals.call_body(task.run, self.ctx, **arguments)
        except SoftTimeLimitExceeded as exc:
            raise self.ctx.time_limit_reached(task.job_soft_time_limit) from exc
        except (MemoryError, Ignore, Reject) as exc:
            raise BodyExited(f"the body raised {type(exc).__name__}: {exc}") from exc
        except Exception:
            raise
        except BaseException as exc:  # some of these would end Celery's worker, others would make it lose the job
            raise BodyExited(f"the body raised {type(exc).__name__}: {exc}") from exc
