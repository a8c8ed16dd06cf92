"""How a body keeps the ledger, in the directory that the environment names."""

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.task import JobContext
from tests.chaos.ledger import VARIABLE, Event, Writer

_writers: dict[str, Writer] = {}


def _writer() -> Writer:
    directory = os.environ[VARIABLE]
    return _writers.setdefault(directory, Writer(Path(directory)))


class Entry:
    """One run's place in the ledger."""

    current: "Entry | None" = None  # the run of this process: a pool child runs one at a time

    def __init__(self, ctx: JobContext, kind: str) -> None:
        self.ctx = ctx
        run = ctx._run
        self._fields: dict[str, Any] = {
            "job": ctx.job_id,
            "attempt": ctx.attempt,
            "token": str(run.run_token),
            "kind": kind,
            "lock": run.lock_name,
            "fence": run.fence,
        }

    def write(self, event: Event, **more: Any) -> None:
        _writer().write(event, **self._fields, **more)

    @contextmanager
    def body(self) -> Iterator[None]:
        self.write(Event.JOIN if self.ctx.membership.joined else Event.BEGIN)
        Entry.current = self
        try:
            yield
        except BaseException as exc:
            self.write(Event.END, how=type(exc).__name__)
            raise
        self.write(Event.END, how="returned")

    def operation(self, device: str, name: str, seconds: float, *, ask: Callable[[], None] | None = None) -> None:
        """Ask, then act on the device for this long, whatever happens meanwhile."""
        self.write(Event.CHECK, device=device, operation=name)
        (ask or self.ctx.checkpoint)()
        self.write(Event.GO, device=device, operation=name)
        time.sleep(seconds)
        self.write(Event.DONE, device=device, operation=name)


def ledgered(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def body(ctx: JobContext, **arguments: Any) -> Any:
        with Entry(ctx, function.__name__).body():
            return function(ctx, **arguments)

    return body
