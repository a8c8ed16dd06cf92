"""A thread that repeats one step on its own database connection, and survives every fault."""

import contextlib
import threading
from collections.abc import Callable

from django.db import Error, connections

from jobs.background.faults import Complaint, bound_statements, forget_connection

_PAUSE_AFTER_FAILURE_SECONDS = 1.0


class Loop(threading.Thread):
    """Calls ``step`` until stopped; it returns how many seconds to wait before the next call, unless woken."""

    def __init__(self, name: str, step: Callable[[], float], *, at_end: Callable[[], None] | None = None) -> None:
        super().__init__(name=f"beat-{name}", daemon=True)  # a step that hangs must not keep the process alive
        self._step = step
        self._at_end = at_end
        self._woken = threading.Event()
        self._stopping = False
        self._complaint = Complaint(f"Beat's {name}")

    def wake(self) -> None:
        """Do not wait any longer. Callable from any thread."""
        self._woken.set()

    def stop(self) -> None:
        """Let it end after the current step; ``join`` waits for that."""
        self._stopping = True
        self._woken.set()

    def run(self) -> None:
        while not self._stopping:
            pause = self._guarded_step()
            self._woken.wait(max(pause, 0.0))
            self._woken.clear()
        if self._at_end is not None:
            with contextlib.suppress(Error):  # only a courtesy: upkeep finds out without it too
                self._at_end()
        forget_connection()
        connections.close_all()

    def _guarded_step(self) -> float:
        try:
            bound_statements()
            pause = self._step()
        except Exception as exc:  # noqa: BLE001  the thread survives whatever a step raises: nothing else does its work
            self._complaint.failed(exc)
            forget_connection()
            return _PAUSE_AFTER_FAILURE_SECONDS
        self._complaint.over()
        return pause
