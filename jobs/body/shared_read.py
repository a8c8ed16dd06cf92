"""One read for all threads that wait for one, as the commits of a database share one flush of its log."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Calls ``read`` in one thread at a time. Each caller gets the result of a read that began after its call.

    Fifty threads that ask during one read cost one further read, not fifty, and each is woken once.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        """``read`` may raise: the exception reaches the caller in whose thread it ran, and the others read again."""
        self._read = read
        self._mutex = threading.Lock()
        self._turn = threading.Lock()
        self._next: _Reading[T] | None = None  # the read that has not begun yet, if a caller waits for it

    def __call__(self) -> T:
        while True:
            ours: _Reading[T] = _Reading()
            try:
                with self._mutex:
                    reading = self._next = self._next or ours
                if reading is ours:
                    return self._lead(ours)
                reading.over.wait()
            except BaseException:  # a time limit may raise anywhere here
                self._end(ours)
                raise
            if reading.answers:
                return reading.answers[0]

    def _lead(self, reading: "_Reading[T]") -> T:
        with self._turn:
            with self._mutex:
                self._next = None
            reading.answers.append(self._read())
        reading.over.set()
        return reading.answers[0]

    def _end(self, reading: "_Reading[T]") -> None:
        """Wake those who wait for our read: there is a result, or they read again."""
        with self._mutex:
            if self._next is reading:
                self._next = None
        reading.over.set()


class _Reading(Generic[T]):
    def __init__(self) -> None:
        self.over = threading.Event()
        self.answers: list[T] = []  # one, or none if it failed
