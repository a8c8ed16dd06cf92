"""One reading for all threads that wait for one: as the commits of a database share one flush of its log."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Calls ``read`` in one thread at a time. Each caller gets the answer of a reading that began after his call.

    Fifty threads that ask while one is being answered cost one further reading, not fifty, and each is woken once.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        """``read`` may raise: that reaches the caller in whose thread it ran, and the others read anew."""
        self._read = read
        self._mutex = threading.Lock()
        self._turn = threading.Lock()
        self._next: Future[T] | None = None  # the reading that has not begun yet, if somebody waits for it

    def __call__(self) -> T:
        while True:
            ours: Future[T] = Future()
            try:
                with self._mutex:
                    reading = self._next = self._next or ours
                if reading is ours:
                    return self._lead(ours)
                if reading.exception() is None:  # waits
                    return reading.result()
            except BaseException as exc:  # a time limit may strike anywhere here
                self._leave(ours, exc)
                raise

    def _lead(self, reading: "Future[T]") -> T:
        with self._turn:
            with self._mutex:
                self._next = None
            answer = self._read()
        reading.set_result(answer)
        return answer

    def _leave(self, reading: "Future[T]", exc: BaseException) -> None:
        """Whoever waits for this reading of ours begins again."""
        with self._mutex:
            if self._next is reading:
                self._next = None
        if not reading.done():
            reading.set_exception(exc)
