"""One reading for all threads that wait for one: as the commits of a database share one flush of its log."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Calls ``read`` in one thread at a time. Each caller gets the answer of a reading that began after his call.

    Fifty threads that ask while one is being answered cost one further reading, not fifty.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        """``read`` may raise: that reaches the caller in whose thread it ran, and the others read anew."""
        self._read = read
        self._changed = threading.Condition()
        self._begun = 0
        self._answered = 0  # the last reading that had an answer
        self._answer: T | None = None
        self._is_reading = False

    def __call__(self) -> T:
        we_read = False
        try:
            with self._changed:
                wanted = self._begun + 1
                self._changed.wait_for(lambda: self._answered >= wanted or not self._is_reading)
                if self._answered >= wanted:
                    return cast("T", self._answer)
                we_read = self._is_reading = True
                self._begun += 1
            answer = self._read()
            self._over(answer)
        except BaseException:  # a time limit may strike anywhere here
            if we_read:
                self._over()
            raise
        return answer

    def _over(self, *answers: T) -> None:
        with self._changed:
            self._is_reading = False
            for answer in answers:
                self._answer, self._answered = answer, self._begun
            self._changed.notify_all()
