"""Threads that answer requests: the one that has rested for the shortest time takes the next.

Its database connection and its memory are still warm. With the standard library's own queue all resting threads take
turns, and each that wakes also wakes the next one, for nothing: with two threads or more, a request takes a fifth
longer.
"""

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any


class _Rest:
    """A thread that waits until it is given an item."""

    __slots__ = ("given", "item")

    def __init__(self) -> None:
        self.given = threading.Lock()
        self.given.acquire()
        self.item: Any = None


class LastRestedFirst(SimpleQueue[Any]):
    """Items first in, first out; of the threads that wait for one, the last that came is served first.

    It has no lock, so ``put`` may be called in the middle of another call, as the garbage collector does: each step is
    one operation on a list or a deque, which is never seen half done.
    """

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._resting: list[_Rest] = []

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Never waits."""
        self._items.append(item)
        self._hand_out()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Waits for as long as it takes."""
        try:
            return self._items.popleft()
        except IndexError:
            if not block:
                raise Empty from None
        rest = _Rest()
        self._resting.append(rest)
        self._hand_out()  # an item may have arrived before this thread was in the list
        rest.given.acquire()
        return rest.item

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def qsize(self) -> int:
        return len(self._items)

    def empty(self) -> bool:
        return not self._items

    def _hand_out(self) -> None:
        while self._items and self._resting:
            try:
                rest = self._resting.pop()
            except IndexError:  # another thread was quicker
                continue
            try:
                rest.item = self._items.popleft()
            except IndexError:
                self._resting.append(rest)
                continue
            rest.given.release()


class Threads(ThreadPoolExecutor):
    def __init__(self, name: str, most: int) -> None:
        super().__init__(most, thread_name_prefix=name)
        self._work_queue = LastRestedFirst()

    @property
    def queued(self) -> int:
        """How many requests wait for a thread."""
        return self._work_queue.qsize()

    def _adjust_thread_count(self) -> None:
        """If the system allows no more threads, those that there are answer what has been submitted."""
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise
