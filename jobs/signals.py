"""Celery's signals, mapped onto a job's life. They adapt and do not decide: Celery swallows what a receiver raises.

Only signals in the process that runs the body count; the worker's main process reports through ``jobs.worker``.
"""

import time
import traceback
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar
from uuid import UUID, uuid4

from celery import signals
from django.db import DEFAULT_DB_ALIAS, Error, connections

from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.body import cells
from jobs.body.execution import Execution
from jobs.body.fresh import fresh
from jobs.body.membership import may_help
from jobs.end_reasons import Failure
from jobs.lifecycle import participants, transitions
from jobs.lifecycle.participants import Joined
from jobs.nothing_open import roll_back_others
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.states import JOIN
from jobs.task import JobTask

T = TypeVar("T")

_CLAIM_SECONDS = 30.0  # after that the row waits for its message to be sent again
_RETRY_SECONDS = 0.5


@signals.task_prerun.connect(dispatch_uid="jobs.claim")
def claim(sender: Any, task: Any, args: Any, **_: Any) -> None:
    """A message arrived: claim its job. No claim, no body."""
    roll_back_others(task)
    if not isinstance(task, JobTask):
        return
    request = task.request
    request.job = None
    job_id = args[0] if args and isinstance(args[0], int) else None
    if job_id is None:
        record(JobAction.REFUSE_MESSAGE, reason="it names no job", messages=1)
        return
    if [*args[1:]] == [JOIN]:
        _join(task, job_id)
    else:
        _claim(task, job_id)


def _claim(task: JobTask, job_id: int) -> None:
    request, who = task.request, _who_asks(task)

    def ask() -> Run | Refused:
        return transitions.claim(job_id, task_name=task.name, lock_name=task.lock, **who)

    granted = _until_stored(lambda: fresh(ask, job_id=job_id), what="claim", job_id=job_id, seconds=_CLAIM_SECONDS)
    if isinstance(granted, Run):
        request.retries = granted.retries
        request.job = Execution(granted)
    elif isinstance(granted, Refused):
        record(JobAction.REFUSE, job_id=job_id, reason=granted.reason)


def _join(task: JobTask, job_id: int) -> None:
    """The job runs already, and has devices that nobody has begun: help with them."""
    request, who = task.request, _who_asks(task)
    if not may_help(job_id, who["worker"]):
        record(JobAction.NOT_JOINED, job_id=job_id, reason="this process has other templates, or other code")
        return

    def ask() -> Joined | Refused:
        return participants.join(job_id, task_name=task.name, longest=task.longest, **who)

    joined = _until_stored(lambda: fresh(ask, job_id=job_id), what="join", job_id=job_id, seconds=_CLAIM_SECONDS)
    if isinstance(joined, Joined):
        request.retries = joined.run.retries
        request.job = Execution(joined.run, joined=True, age=joined.age)
    elif isinstance(joined, Refused):
        record(JobAction.NOT_JOINED, job_id=job_id, reason=joined.reason)


class _Asker(TypedDict):
    run_token: UUID
    worker_id: int | None
    worker: str


def _who_asks(task: JobTask) -> _Asker:
    """The run token that the main process made for this message, and its worker; a token of our own without those."""
    request = task.request
    token = getattr(request, "run_token", None)
    return {
        "run_token": UUID(token) if token else uuid4(),
        "worker_id": getattr(request, "worker_id", None),
        "worker": getattr(request, "worker", None) or request.hostname or "",
    }


@signals.task_success.connect(dispatch_uid="jobs.finish")
def finish(sender: Any, **_: Any) -> None:
    execution = _execution(sender)
    if execution is None or execution.outcome is None:
        return
    outcome = execution.outcome
    _before_the_end(sender)
    try:
        _until_stored(lambda: transitions.finish(execution.run, outcome), what="finish", job_id=execution.run.job_id)
    except Exception as exc:  # noqa: BLE001  whatever the database says, the job must end and free its lock
        record(JobAction.RESULT_REFUSED, exc=exc, job_id=execution.run.job_id)
        _store_failure(execution, Failure.of(exc))


@signals.task_failure.connect(dispatch_uid="jobs.fail")
def fail(sender: Any, exception: BaseException, **_: Any) -> None:
    execution = _execution(sender)
    if execution is None:
        return
    _before_the_end(sender)
    _store_failure(execution, execution.failure or Failure.of(exception))


@signals.task_retry.connect(dispatch_uid="jobs.retry")
def retry(sender: Any, reason: Any = None, **_: Any) -> None:
    execution = _execution(sender)
    if execution is None:
        return
    _before_the_end(sender)
    due = 0 if reason is None or reason.when is None else reason.when
    try:
        _until_stored(
            lambda: transitions.retry(execution.run, due=due, reason=str(reason)),
            what="retry",
            job_id=execution.run.job_id,
        )
    except Exception as exc:  # noqa: BLE001  a time that is none, for instance: the job must end and free its lock
        _store_failure(execution, Failure.of(exc, traceback.format_exc()))


def _before_the_end(task: Any) -> None:
    cells.storing(task.request)
    roll_back_others(task)


def _execution(task: Any) -> Execution | None:
    """The run of this process; None for other tasks, unclaimed ones, and in the worker's main process."""
    return getattr(task.request, "job", None) if isinstance(task, JobTask) else None


def _store_failure(execution: Execution, failure: Failure) -> None:
    devices = execution.finished_devices

    def store(kept: Outcome | None) -> None:
        _until_stored(
            lambda: transitions.fail(execution.run, failure, finished_devices=devices, kept=kept),
            what="failure",
            job_id=execution.run.job_id,
        )

    try:
        store(execution.kept)
    except Exception as exc:
        if execution.kept is None:
            raise
        record(JobAction.KEPT_LOST, exc=exc, job_id=execution.run.job_id)
        store(None)


def _until_stored(store: Callable[[], T], *, what: str, job_id: int, seconds: float | None = None) -> T | None:
    """Repeat until the database has accepted it: an outage must not lose the end of a body. None when time ran out."""
    started = time.monotonic()
    database = connections[DEFAULT_DB_ALIAS]
    # Without a health check of the connection: if it is broken, the statement fails and is repeated on a new one.
    database.health_check_done = True  # type: ignore[attr-defined]
    was_open = database.connection is not None
    while True:
        try:
            return store()
        except Error as exc:
            database.close()
            if not not_now(exc):
                raise
            if was_open:
                was_open = False
                continue
            waited = time.monotonic() - started
            record(JobAction.STORE_WAITS, what=what, job_id=job_id, seconds=waited, error=str(exc))
            if seconds is not None and waited > seconds:
                return None
            time.sleep(_RETRY_SECONDS)
