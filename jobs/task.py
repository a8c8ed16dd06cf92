"""What people who write jobs import: ``@job``, the context of a run, and what a body may return.

from jobs.task import JobContext, JobResult, job

@job(lock="devices")
def sync_devices(ctx: JobContext, *, hostnames: list[str], dry_run: bool = True) -> JobResult: ...

sync_devices.schedule(hostnames=["eosdist"])
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any, Unpack, overload

from celery import Task, current_app, shared_task
from celery.exceptions import Retry, SoftTimeLimitExceeded
from pydantic import TypeAdapter

from cnaasjobs.db.clock import database_now
from cnaasjobs.nesting import TOO_DEEP, is_too_deep
from jobs.authors import refusing
from jobs.body.annotations import adapters, why_not
from jobs.body.context import JobContext
from jobs.body.execution import without_run
from jobs.declaration import check_body, check_options
from jobs.dispatch import scheduling
from jobs.errors import JobArgumentError, JobStopped
from jobs.fleet.assignment import source_of
from jobs.fleet.ends import EndMet
from jobs.fleet.reports import DeviceFailed, DeviceResult
from jobs.fleet.result import Done
from jobs.models import Job
from jobs.outcome import JobResult, NextJob
from jobs.schedulable import Approval, ScheduleOptions

__all__ = [
    "DeviceFailed",
    "DeviceResult",
    "Done",
    "JobContext",
    "JobResult",
    "JobTask",
    "NextJob",
    "job",
    "known_tasks",
]

_ONLY_FOR_MESSAGES = {"task_id", "producer", "connection", "router", "shadow", "serializer", "compression", "retry"}


class JobTask(Task):
    """Base class of every job's Celery task. Its body runs only in a run that was claimed in the database."""

    abstract = True
    ignore_result = True  # a job's row is its result
    acks_late = False  # the row, not the broker, remembers the job
    throws = (JobStopped,)  # not an error of the body: its job's end says it in full
    typing = False  # a message carries a job's id, not the body's arguments

    lock: str | None = None
    job_queue: str | None = None
    job_priority: int = 0
    permission: str = "jobs.add_job"  # the permission to start it, where one is required
    job_time_limit: float | None = None  # seconds; enforced by jobs.worker, which knows when a body has ended
    job_soft_time_limit: float | None = None
    approval: Approval | None = None
    rerun_if_lost: bool = False
    helpers: int = 0
    lock_wait: int | None = None
    job_name: str | None = None
    check: Callable[..., None] | None = None
    _types: dict[str, TypeAdapter[Any]] | None = None

    @property
    def longest(self) -> float | None:
        """Seconds after which a job of this task ends or is told to: its shorter time limit. None if it has none."""
        limits = [limit for limit in (self.job_soft_time_limit, self.job_time_limit) if limit is not None]
        return min(limits, default=None)

    # --- scheduling ---------------------------------------------------------------------------------------------------

    def schedule(self, **kwargs: Any) -> Job:
        """Schedule one job now with these arguments; ``scheduling.schedule`` takes more (a time, a comment, …)."""
        return scheduling.schedule(self, kwargs)

    def schedule_many(self, many: Iterable[Mapping[str, Any]], **options: Unpack[ScheduleOptions]) -> list[Job]:
        return scheduling.schedule_many(self, many, **options)

    def delay(self, *args: Any, **kwargs: Any) -> Job:
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        **options: Any,
    ) -> Job:
        """Celery's way to start a task makes a job row too. Returns the row, not an AsyncResult.

        Raises:
            JobArgumentError: also for an option of Celery's that a job cannot honour (link, chain, expires, …).
        """
        refused = sorted(name for name, value in options.items() if value and name not in _ONLY_FOR_MESSAGES)
        if refused:
            raise JobArgumentError(f"{self.name} is a job: Celery's option {', '.join(refused)} does not apply to it")
        at = eta if countdown is None else database_now() + timedelta(seconds=countdown)
        return scheduling.schedule(self, self.named(args or (), kwargs or {}), at=at, queue=queue, priority=priority)

    def named(self, args: Iterable[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Positional arguments by their names."""
        positional = tuple(args)
        if not positional:
            return dict(kwargs)
        return dict(self._bind(positional, kwargs).arguments)

    def bound(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments of the body, with its defaults.

        Raises:
            JobArgumentError: they do not fit the function.
        """
        found = self._bind((), kwargs)
        self._check_types(found)
        found.apply_defaults()
        arguments: dict[str, Any] = dict(found.arguments)
        for parameter in found.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(parameter.name))
        if self.check is not None:
            with refusing(f"the check of {self.name}", JobArgumentError):
                try:
                    self.check(**arguments)
                except ValueError as exc:
                    raise JobArgumentError(f"{self.name}: {exc}") from exc
        return arguments

    def require_fit(self, kwargs: Mapping[str, Any]) -> None:
        """Raises JobArgumentError if the body can't be called with these: another version of it took them."""
        self._bind((), kwargs)

    def _check_types(self, found: inspect.BoundArguments) -> None:
        """The body may rely on its annotations: a string for a parameter that is a bool is refused, not converted."""
        for name, value in found.arguments.items():
            if is_too_deep(value):
                raise JobArgumentError(f"{self.name}: {name} is {TOO_DEEP}")
            if (reason := self.why_not(name, value)) is not None:
                raise JobArgumentError(f"{self.name}: {name} is {value!r:.60}: {reason}")

    def why_not(self, name: str, value: Any) -> str | None:
        """Why the body's annotations do not allow this value of an argument; None if they do."""
        if self._types is None:
            self._types = adapters(self.run, self._signature)
        return why_not(self._types[name], value) if name in self._types else None

    @cached_property
    def _signature(self) -> inspect.Signature:
        """The body's signature, without the JobContext."""
        signature = inspect.signature(self.run)
        _ctx, *parameters = signature.parameters.values()
        # A body's arguments travel by name, so that start_arguments can show them.
        by_name = [p for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL]
        return signature.replace(parameters=by_name)

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        try:
            return self._signature.bind(*args, **kwargs)
        except TypeError as exc:
            raise JobArgumentError(f"{self.name}: {exc}{self._hint(kwargs)}") from exc

    def _hint(self, kwargs: Mapping[str, Any]) -> str:
        """The likely mistake, as the end of an error message; empty if none is likely."""
        context = next(iter(inspect.signature(self.run).parameters))
        if context in kwargs:
            return f"; its first parameter, {context}, is the JobContext"
        options = sorted(kwargs.keys() & ScheduleOptions.__annotations__.keys() - self._signature.parameters.keys())
        return f"; {', '.join(options)} is an option of jobs.dispatch.schedule" if options else ""

    def function_name_of(self, kwargs: Mapping[str, Any]) -> str:
        name = self.job_name or self.name.rpartition(".")[2]
        return f"{name} (dry_run)" if kwargs.get("dry_run") is True else name

    # --- running ------------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Run the body of the claimed run; without a claim (duplicate message, aborted, lock taken) do nothing."""
        if (execution := getattr(self.request, "job", None)) is None:
            raise without_run(self)
        execution.run_body(self)

    def retry(self, *args: Any, throw: bool = True, **options: Any) -> Retry:
        """Ask for another attempt, by Celery's rules; it stays the same job."""
        asked: Retry = super().retry(*args, throw=False, **options)
        self.request.job.ctx.retry_asked = asked
        if throw:
            raise asked
        return asked

    def signature_from_request(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's ``retry`` sends this; a job's retry is its row, which Beat sends when it is due."""
        return _NoMessage()


# Celery has options of the same name, so JobTask calls ours otherwise.
_RENAMED = {
    "queue": "job_queue",
    "priority": "job_priority",
    "time_limit": "job_time_limit",
    "soft_time_limit": "job_soft_time_limit",
    "function_name": "job_name",
}


# A job that was told to stop stops, though an author may name Exception among what is tried again.
_NEVER_RETRIED = (JobStopped, EndMet, SoftTimeLimitExceeded)


def known_tasks() -> Mapping[str, Task]:
    """Every task of this process's code, by name. The first call imports the modules that hold them."""
    _import_their_modules()
    return current_app.tasks  # type: ignore[no-any-return]


@cache
def _import_their_modules() -> None:
    """Once: each time Celery also makes Django run all of its checks."""
    current_app.loader.import_default_modules()


class _NoMessage:
    args = kwargs = None

    def apply_async(self) -> None:
        return None


@overload
def job(function: Callable[..., Any], /) -> JobTask: ...
@overload
def job(
    *,
    lock: str | None = None,
    queue: str | None = None,
    priority: int = 0,
    time_limit: float | None = None,
    soft_time_limit: float | None = None,
    rerun_if_lost: bool = False,
    helpers: int = 0,
    lock_wait: int | None = None,
    function_name: str | None = None,
    check: Callable[..., None] | None = None,
    approval: Approval | None = None,
    permission: str = "jobs.add_job",
    **celery_options: Any,
) -> Callable[[Callable[..., Any]], JobTask]: ...
def job(
    function: Callable[..., Any] | None = None, /, **options: Any
) -> JobTask | Callable[[Callable[..., Any]], JobTask]:
    """Make a function a job. Its first parameter is the JobContext, the others are given by name.

    Args:
        lock: name of the lock it must hold, at most 32 characters; it waits in line while another job holds it.
        queue: which workers run it (``-Q``); the default queue unless given.
        priority: 0 to 9; 9 comes first within its queue.
        time_limit, soft_time_limit: seconds; the soft limit raises in the body, the hard one kills its process.
        rerun_if_lost: run it again when its worker is lost; only for bodies that may run twice.
        helpers: at most this many processes of idle workers help with the devices of ``ctx.each``.
        lock_wait: it waits at most this many seconds for its lock; ``CNAASJOBS_LOCK_WAIT_SECONDS`` unless given.
        function_name: the name that the API shows; the function's own unless given.
        check: called with all arguments before a job is scheduled; its ValueError says what is wrong with them.
        approval: called with all arguments; returns why the job must wait until a second person approves it, or None.
            Only for a job with a lock.
        permission: what a user needs to start it, wherever rights are asked for.
        celery_options: Celery's own ``name``, and those about retries: ``autoretry_for``, ``retry_backoff``,
            ``max_retries``, … Others are refused: a message is only a job's number.

    Raises:
        TypeError, ValueError: an option does not exist or has an invalid value, the function can't be a job, or another
            has its name.
    """
    check_options(options)
    for name in ("check", "approval"):
        if options.get(name) is not None:
            options[name] = staticmethod(options[name])
    options["dont_autoretry_for"] = (*_NEVER_RETRIED, *options.get("dont_autoretry_for", ()))
    attributes = {"base": JobTask} | {_RENAMED.get(name, name): value for name, value in options.items()}
    decorate: Callable[[Callable[..., Any]], JobTask] = shared_task(**attributes)

    def declare(body: Callable[..., Any]) -> JobTask:
        check_body(body, options.get("name"))
        source_of(body)  # keeps a hash of its file, which is read now and not when the first job begins
        return decorate(body)

    return declare if function is None else declare(function)
