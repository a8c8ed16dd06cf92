"""The jobs of the chaos run. The fleet's processes import this module; each body keeps the ledger.

A device operation writes its start before it asks for its token, and acts only then. The real ``sync_devices`` keeps
the ledger too: its body and its safe points are wrapped here, and its devices are lab devices whose driver (platform
``chaoslab``) writes when it has acted.
"""

import functools
import sys
import threading
import time
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from devices.lab.driver import LabDriver
from devices.tasks import sync_devices
from jobs.task import DeviceFailed, JobContext, JobResult, JobTask, job
from tests.chaos.entry import Entry, ledgered
from tests.chaos.ledger import Event


def _work(seconds: float, steps: int = 1) -> None:
    entry = Entry.current
    assert entry is not None
    for number in range(steps):
        entry.operation(f"device-{number}", "configure", seconds / steps)


@job
@ledgered
def short(ctx: JobContext, *, seconds: float) -> str:
    _work(seconds)
    return "done"


@job(priority=9)
@ledgered
def urgent(ctx: JobContext, *, seconds: float) -> str:
    _work(seconds)
    return "done"


@job
@ledgered
def delayed(ctx: JobContext, *, seconds: float) -> str:
    _work(seconds)
    return "done"


@job
@ledgered
def long(ctx: JobContext, *, seconds: float) -> str:
    _work(seconds, steps=max(1, round(seconds / 0.4)))
    return "done"


@job(lock="north")
@ledgered
def locked(ctx: JobContext, *, seconds: float) -> str:
    _work(seconds, steps=2)
    return "done"


@job(lock="west")
@ledgered
def campaign(ctx: JobContext, *, seconds: float) -> str:
    """Holds its lock for so long that the rescue after a freeze or a kill comes while it is at work."""
    _work(seconds, steps=max(1, round(seconds / 0.4)))
    return "done"


@job
@ledgered
def blind(ctx: JobContext, *, seconds: float) -> str:
    """One long operation without a safe point: it finishes long after it was taken for lost."""
    _work(seconds)
    return "done"


@job(lock="east")
@ledgered
def keeper(ctx: JobContext, *, seconds: float) -> str:
    """In a transaction that locks its lock's row all the time: if its host vanishes, nobody can use the row."""
    end = time.monotonic() + seconds
    with ctx.guarded_by_lock():
        while time.monotonic() < end:
            time.sleep(0.5)
            ctx.holds_lock()
    return "done"


@job(lock="south")
@ledgered
def fan(ctx: JobContext, *, devices: list[str], threads: int, seconds: float) -> JobResult:
    """Several devices, each in one of a few threads: load, then commit."""
    entry = Entry.current
    assert entry is not None

    def configure(device: str) -> None:
        entry.operation(device, "load", seconds)
        entry.operation(device, "commit", seconds / 2)
        ctx.device_finished(device)

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(configure, device) for device in devices]
    for future in futures:
        future.result()
    return JobResult({"devices": {device: {"failed": False} for device in devices}}, change_score=len(devices))


@job(lock="fleet", helpers=4)
@ledgered
def roll(ctx: JobContext, *, devices: list[str], seconds: float, dry_run: bool = False) -> JobResult:
    """Its devices are a row each, and other processes may help with them. Some fail."""
    entry = Entry.current
    assert entry is not None

    def load(device: str) -> dict[str, str] | None:
        entry.operation(device, "load", seconds, ask=lambda: ctx.about_to("load"))
        if device.endswith("7"):
            raise DeviceFailed("as it was told to")
        if dry_run:
            return {"diff": device}
        entry.operation(device, "commit", seconds / 2, ask=lambda: ctx.about_to("commit", if_lost="nobody knows"))
        return {"committed": device}

    done = ctx.each(devices, load, at_once=3, reads_first=True)  # so that some are taken ahead
    return JobResult(change_score=done.failed)


@job
@ledgered
def failing(ctx: JobContext, *, seconds: float) -> None:
    _work(seconds)
    raise ValueError("as it was told to")


@job(autoretry_for=(ConnectionError,), max_retries=5, default_retry_delay=1)
@ledgered
def retried(ctx: JobContext, *, seconds: float, succeed_on: int) -> str:
    _work(seconds)
    if ctx.attempt < succeed_on:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return "done"


@job(rerun_if_lost=True)
@ledgered
def rerun(ctx: JobContext, *, seconds: float) -> str:
    _work(seconds, steps=max(1, round(seconds / 0.4)))
    return "done"


@job(lock="north", approval=lambda arguments, ending: "it always does")
@ledgered
def guarded(ctx: JobContext, *, seconds: float) -> str:
    """Waits for a second person, and then in line with others."""
    _work(seconds, steps=2)
    return "done"


_ALL = (short, urgent, delayed, long, locked, campaign, blind, keeper, fan, roll, failing, retried, rerun, guarded)
TASKS: dict[str, JobTask] = {task.name.rpartition(".")[2]: task for task in _ALL}


# --- the product's own job, with its ledger kept for it ---------------------------------------------------------------


def _ask_in_ledger(ctx: JobContext) -> None:
    """Each safe point of this run writes its start before the token is read, and that it was passed."""
    entry = Entry.current
    assert entry is not None

    def watched(ask: Callable[..., None]) -> Callable[..., None]:
        def safe_point(*args: Any, **options: Any) -> None:
            entry.write(Event.CHECK, device=threading.current_thread().name, operation="safe point")
            ask(*args, **options)
            entry.write(Event.GO, device=threading.current_thread().name, operation="safe point")

        return safe_point

    ctx.checkpoint = watched(ctx.checkpoint)  # type: ignore[method-assign]
    ctx.about_to = watched(ctx.about_to)  # type: ignore[method-assign]


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def body(ctx: JobContext, **arguments: Any) -> Any:
        with Entry(ctx, "sync_devices").body():
            _ask_in_ledger(ctx)
            return function(ctx, **arguments)

    return body


sync_devices.run = _watched(sync_devices.run)


class ChaosLabDriver(LabDriver):
    """Always finds something to commit, and writes when a step that changes the device is over."""

    def compare_config(self) -> str:
        return super().compare_config() or "+! pushed again"

    def commit_config(self, message: str = "", revert_in: int | None = None) -> None:
        time.sleep(self._delay)
        super().commit_config(message, revert_in)
        self._done("commit")

    def confirm_commit(self) -> None:
        super().confirm_commit()
        self._done("confirm")

    def _done(self, operation: str) -> None:
        if Entry.current is not None:
            Entry.current.write(Event.DONE, device=self.hostname, operation=operation)


_module = types.ModuleType("napalm_chaoslab")
ChaosLabDriver.__module__ = _module.__name__
_module.ChaosLabDriver = ChaosLabDriver  # type: ignore[attr-defined]
sys.modules["napalm_chaoslab"] = _module
