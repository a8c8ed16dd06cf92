"""One run, in the process that runs its body: from the claim to an end that can be stored."""

import json
import traceback
from contextlib import closing
from dataclasses import replace
from typing import Any

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from cnaasjobs.db.left_open import none_left_open
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.body import cells, job_log, posix_signals
from jobs.body.context import JobContext
from jobs.body.tasks import BodyTask
from jobs.end_reasons import Failure
from jobs.errors import BodyExited, JobStopped
from jobs.fleet.ends import BodyEnds, EndMet, Left
from jobs.nothing_open import roll_back_others
from jobs.outcome import Outcome, outcome_of
from jobs.rights.decide import require_still
from jobs.run import Run


def without_run(task: Any) -> Exception:
    """What ends a call of a job's task that has no claimed run."""
    if task.request.called_directly:
        return TypeError(f"{task.name} is a job: start it with its schedule(), test it with jobs.testing.perform_job")
    ignored: Exception = Ignore()
    return ignored


class Execution:
    """One run, in the process that runs its body: from the claim to a stored end."""

    def __init__(self, run: Run, *, joined: bool = False, age: float = 0.0) -> None:
        """``joined``: others run this job already, for ``age`` seconds, and this process helps them."""
        self.run = run
        self.ctx = JobContext(run, joined=joined)
        self.outcome: Outcome | None = None
        self.failure: Failure | None = None  # what was raised, before Celery wraps an exception that cannot be pickled
        self.kept: Outcome | None = None  # the result of a body that raised (``ctx.keep``, ``ctx.each``)
        self._age = age
        self._joined = joined

    def run_body(self, task: BodyTask) -> None:
        """Run the body to its end, with all its threads.

        Raises:
            Exception: the body's own, JobStopped, ResultNotStorable or BodyExited. Never one that would end the
            process.
        """
        self.ctx.task = task
        roll_back_others(task)
        try:
            with closing(self.ctx), job_log.kept_in(self.ctx.log), none_left_open(by="the body"):
                try:
                    returned = self._to_its_end(task)
                finally:
                    self.ctx.wait_for_threads()
            if self.ctx.retry_asked is not None:
                raise self.ctx.retry_asked
            self.outcome = self._with_devices(outcome_of(returned, finished_devices=self.finished_devices))
        except Left:
            return  # the job goes on in other processes: nothing of its end is stored here
        except Exception as exc:
            self.failure = exc.failure if isinstance(exc, EndMet) else Failure.of(exc, traceback.format_exc())
            if self.ctx.membership.is_on and not self.ctx.membership.leave_with(self.failure):
                record(JobAction.LEAVE, exc=exc, job_id=self.run.job_id, worker=self.run.worker)
                return
            self.kept = self._kept(exc)
            raise

    @property
    def finished_devices(self) -> str:
        """As stored: a JSON list."""
        found = self.ctx.membership.finished
        return self.ctx.finished_devices.as_json() if found is None else json.dumps(found, ensure_ascii=False)

    def _with_devices(self, outcome: Outcome) -> Outcome:
        """A body that goes through devices and returns nothing has their reports as its result."""
        made = self.ctx.membership.result
        if made is None or outcome.result is not None:
            return outcome
        text, size = made
        return replace(outcome, result=text, devices_bytes=size if text is None else None)

    def _kept(self, exc: Exception) -> Outcome | None:
        if isinstance(exc, Retry):
            return None
        try:
            found = None if self.ctx.result_until is None else self.ctx.result_until(exc)
            kept = self._with_devices(outcome_of(found, finished_devices=None))
        except BaseException as lost:  # noqa: BLE001  secondary: the end itself must be stored
            record(JobAction.KEPT_LOST, exc=lost, job_id=self.run.job_id)
            return None
        return None if kept.result is None and kept.devices_bytes is None else kept

    def _require_rights(self, task: BodyTask) -> None:
        with self.ctx.database():
            require_still(self.run, task)

    def _to_its_end(self, task: BodyTask) -> Any:
        """What the body returns. If it was told to end, that is its end, whatever it has made of the exception."""
        try:
            returned = self._in_body(task)
        except (JobStopped, EndMet):
            raise
        except Exception as exc:  # a body that was told to end may make any exception of that; others are raised again
            if (end := self._told_to_end) is not None:
                raise end from exc
            raise
        if (end := self._told_to_end or (None if self.ctx.retry_asked else self.ctx.membership.not_over)) is not None:
            self.ctx.keep(lambda _: returned)
            raise end
        return returned

    @property
    def _told_to_end(self) -> Exception | None:
        """What was raised in the body to end it, even if it caught that as it catches the failure of a device."""
        stop = self.ctx.stop_reason
        return self.ctx.membership.end_met or (None if isinstance(stop, BodyEnds) else stop)

    def _in_body(self, task: BodyTask) -> Any:
        arguments = json.loads(self.run.start_arguments)
        task.require_fit(arguments)  # here no ``autoretry_for`` takes it for a failure that passes
        if self.run.author_id is not None and not self._joined:  # most jobs have none, and are quicker for it
            self.ctx.answer(lambda: self._require_rights(task))
        try:
            cells.running(task.request, age=self._age)
            return posix_signals.call_body(task.run, self.ctx, **arguments)
        except SoftTimeLimitExceeded as exc:
            raise self.ctx.soft_limit_reached() from exc
        except (MemoryError, Ignore, Reject) as exc:
            raise BodyExited(f"the body raised {type(exc).__name__}: {exc}") from exc
        except (Exception, Left):
            raise
        except BaseException as exc:  # some of these would end Celery's worker, others would make it lose the job
            raise BodyExited(f"the body raised {type(exc).__name__}: {exc}") from exc
