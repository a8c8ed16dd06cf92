"""Jobs that keep the ledger of ``tests.chaos``: what each body did, and when."""

import time
from pathlib import Path

from django.db import transaction

from jobs.task import JobContext, JobResult, NextJob, job
from locks import service as locks
from tests.chaos.entry import Entry, ledgered
from tests.reliability.scale import scaled


def _operate(count: int, seconds: float) -> None:
    entry = Entry.current
    assert entry is not None
    for number in range(count):
        entry.operation(f"device-{number}", "configure", seconds)


@job
@ledgered
def operate(ctx: JobContext, *, count: int = 1, seconds: float = 0.01) -> str:
    """Device operations, one after the other, a safe point before each."""
    _operate(count, seconds)
    return "done"


@job(lock="devices")
@ledgered
def operate_locked(ctx: JobContext, *, count: int = 1, seconds: float = 0.01) -> str:
    _operate(count, seconds)
    return "done"


@job
@ledgered
def until(ctx: JobContext, *, path: str) -> str:
    """Goes on until the file is there, without a safe point."""
    while not Path(path).exists():
        time.sleep(0.02)
    return "done"


@job(lock="devices")
@ledgered
def until_then(ctx: JobContext, *, path: str) -> JobResult:
    """Goes on until the file is there, and has a successor."""
    while not Path(path).exists():
        time.sleep(0.02)
    return JobResult("done", next_job=NextJob(task=operate, kwargs={}))


@job(lock="other")
@ledgered
def until_other_lock(ctx: JobContext, *, path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.02)
    return "done"


@job(lock="devices")
@ledgered
def hold_row(ctx: JobContext, *, lock: str, path: str) -> str:
    """Holds a lock's row in a transaction until the file is there."""
    entry = Entry.current
    assert entry is not None
    with transaction.atomic():
        locks.locked_row(lock)
        entry.operation("row", "hold", 0)
        while not Path(path).exists():
            time.sleep(0.02)
    return "done"


@job(rerun_if_lost=True)
@ledgered
def operate_again_if_lost(ctx: JobContext, *, count: int = 1, seconds: float = 0.01) -> str:
    _operate(count, seconds)
    return f"attempt {ctx.attempt}"


@job(time_limit=scaled(150), soft_time_limit=scaled(120))
@ledgered
def until_with_limits(ctx: JobContext, *, path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.02)
    return "done"
