"""How long a step on a device may take, and what becomes of a thread that hangs in one.

Nothing can end a thread, and a driver may wait for ever, in C too. So the device is given up, by whoever waits for the
threads: its thread does nothing more if it ever comes back, and the process ends with the job (``ctx.abandon``).
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LOOK_SECONDS: Final = 1.0  # between two looks for steps that take too long


@dataclass
class _Step:
    what: str
    began: float
    given_up: bool = False


class Patience:
    """Of one job, for all its threads."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._mutex = threading.Lock()
        self._steps: dict[threading.Thread, _Step] = {}

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A call into a driver. It is left, or given up: never both."""
        thread, step = threading.current_thread(), _Step(what, time.monotonic())
        with self._mutex:
            self._steps[thread] = step
        try:
            yield
        finally:
            with self._mutex:
                given_up = step.given_up
                if not given_up:
                    del self._steps[thread]
            if given_up:
                threading.Event().wait()  # until the process ends: the device is another's by now

    def give_up(self) -> list[tuple[threading.Thread, str]]:
        """The threads that hang, each once, and in what."""
        late = time.monotonic() - self.seconds
        with self._mutex:
            hanging = [(thread, step) for thread, step in self._steps.items() if step.began < late]
            for thread, step in hanging:
                step.given_up = True
                del self._steps[thread]
        return [(thread, step.what) for thread, step in hanging]
