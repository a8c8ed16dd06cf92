"""How long a step on a device may take, and what happens to a thread that hangs in one.

Nothing can end a thread, and a driver may wait forever, even in C. So the code that waits for the threads gives the
device up: its thread does nothing more if it ever returns, and the process ends with the job (``ctx.abandon``).
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LOOK_SECONDS: Final = 1.0  # between two checks for steps that take too long


@dataclass
class _Step:
    what: str
    began: float
    given_up: bool = False


class Patience:
    """The patience of one job, for all its threads."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._mutex = threading.Lock()
        self._steps: dict[threading.Thread, _Step] = {}

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A call into a driver. It either returns or is given up, never both."""
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
                threading.Event().wait()  # until the process ends: another job may be using the device by now

    def give_up(self) -> list[tuple[threading.Thread, str]]:
        """The threads that hang, each once, and what they hang in."""
        late = time.monotonic() - self.seconds
        with self._mutex:
            hanging = [(thread, step) for thread, step in self._steps.items() if step.began < late]
            for thread, step in hanging:
                step.given_up = True
                del self._steps[thread]
        return [(thread, step.what) for thread, step in hanging]
