"""What tests of shared readings have in common."""

import threading
from collections.abc import Callable
from typing import TypeVar

from jobs.body.shared_read import SharedRead

T = TypeVar("T")


def waiting(read: SharedRead[T]) -> int:
    """How many threads wait for the read that has not begun: the one that will do it, and those that share it."""
    reading = read._next
    return 0 if reading is None else 1 + len(reading.waiting)


class HeldUp(SharedRead[T]):
    """The thread named "late" has found the next reading, and is held up before it does anything with it."""

    def __init__(self, read: Callable[[], T]) -> None:
        super().__init__(read)
        self.comes, self.goes_on = threading.Event(), threading.Event()

    def __getattribute__(self, name: str) -> object:
        found = super().__getattribute__(name)
        if name == "_next" and threading.current_thread().name == "late" and not self.comes.is_set():
            self.comes.set()
            assert self.goes_on.wait(10)
        return found
