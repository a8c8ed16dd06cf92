"""Jobs for tests, registered in the test process and in the real workers that tests start.

Here those that end by themselves; ``ends`` has those that end badly, ``lasting`` those that last until a test or a
limit ends them, ``ledgered`` those that keep the ledger of ``tests.chaos``.
"""

import threading
import time
from typing import Any

from celery import shared_task

from jobs.task import JobContext, JobResult, NextJob, job


@job()
def add(ctx: JobContext, *, a: int, b: int) -> JobResult:
    return JobResult({"sum": a + b})


@job()
def nap(ctx: JobContext, *, seconds: float) -> JobResult:
    """Sleeps in safe points, so that it can be aborted."""
    while seconds > 0 and not ctx.next_stop(min(seconds, 0.05)):
        seconds -= 0.05
    ctx.checkpoint()
    return JobResult({"slept": True})


@shared_task
def plain(value: int) -> int:
    """A Celery task that is not a job."""
    return value * 2


@shared_task
def plain_starter() -> None:
    """A Celery task that is not a job, and starts one."""
    nothing.delay()


@job
def nothing(ctx: JobContext) -> None:
    """Returns at once."""


@job
def starter(ctx: JobContext) -> None:
    """Starts two jobs, each in a way of its own."""
    nothing.delay()
    nothing.schedule()


@job
def starts_guarded(ctx: JobContext) -> None:
    """Starts a job that waits for a second person."""
    guarded.schedule()


@job
def starts_starter(ctx: JobContext) -> None:
    """Starts a job that starts one that waits for a second person."""
    starts_guarded.schedule()


@job
def then_guarded(ctx: JobContext) -> JobResult:
    """Its successor starts a job that waits for a second person."""
    return JobResult(None, next_job=NextJob(task=starts_guarded, kwargs={}, scheduled_by=ctx.scheduled_by))


@job
def chained(ctx: JobContext) -> JobResult:
    """Starts a successor for the person who started this one."""
    return JobResult(None, next_job=NextJob(task=nothing, kwargs={}, scheduled_by=ctx.scheduled_by))


@job
def echo(ctx: JobContext, *, value: Any, dry_run: bool = False) -> Any:
    return value


def _check(first: int, second: int) -> None:
    if first != second:
        raise ValueError("two is odd")


@job(lock="devices", approval=lambda arguments, ending: "it always does")
def guarded(ctx: JobContext) -> None:
    """Waits for a second person."""


@job(check=_check)
def checked(ctx: JobContext, *, first: int, second: int) -> None:
    """Takes only two that are the same."""


@job
def by_position(ctx: JobContext, first: str, second: int = 2) -> str:
    return first * second


@job(lock="devices")
def with_lock(ctx: JobContext, *, seconds: float = 0) -> str:
    ctx.next_stop(seconds)
    ctx.checkpoint()
    return "done"


@job(lock="other")
def with_other_lock(ctx: JobContext) -> str:
    return "done"


@job
def report_devices(ctx: JobContext, *, devices: list[str], seconds_each: float = 0) -> JobResult:
    for device in devices:
        ctx.checkpoint()
        ctx.next_stop(seconds_each)
        ctx.device_finished(device)
    return JobResult({"devices": {device: {"failed": False} for device in devices}}, change_score=len(devices))


@job
def raise_error(ctx: JobContext, *, message: str = "it broke") -> None:
    raise ValueError(message)


@job(autoretry_for=(ConnectionError,), max_retries=2, default_retry_delay=0)
def retry_twice(ctx: JobContext, *, succeed_on: int = 99) -> str:
    if ctx.attempt < succeed_on:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return f"attempt {ctx.attempt}"


@job
def retry_by_hand(ctx: JobContext, *, countdown: float = 0) -> str:
    if ctx.attempt == 1:
        ctx.retry(countdown=countdown)
    return f"attempt {ctx.attempt}"


@job(rerun_if_lost=True)
def rerun_if_lost(ctx: JobContext) -> str:
    return f"attempt {ctx.attempt}"


@job
def threads_left_behind(ctx: JobContext, *, seconds: float) -> None:
    """Returns while a thread of its own still works."""
    threading.Thread(target=time.sleep, args=(seconds,)).start()


@job(function_name="named_otherwise")
def successor(ctx: JobContext) -> JobResult:
    return JobResult("first", next_job=NextJob(task=echo, kwargs={"value": 2}, comment="follows"))


@job
def bad_successor(ctx: JobContext) -> JobResult:
    return JobResult("first", next_job=NextJob(task=echo, kwargs={"nonsense": 2}))
