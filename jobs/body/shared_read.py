"""One call for all threads that wait for one, as the commits of a database share one flush of its log."""

import threading
from collections.abc import Callable, Sequence
from time import sleep
from typing import Any, Generic, TypeVar

G = TypeVar("G")
T = TypeVar("T")


class SharedCall(Generic[G, T]):
    """Calls ``do`` in one thread at a time. Each caller gets the result of a call that began after its own.

    Fifty threads that ask during one call cost one further call, not fifty, and each is woken once.
    """

    def __init__(self, do: Callable[[Sequence[G]], T], *, gather: Callable[[], float] = lambda: 0.0) -> None:
        """
        Args:
            do: gets what each of its callers gave. It may raise: the exception reaches the caller in whose thread it
                ran, and the others call again.
            gather: how many seconds to wait for more callers before a call.
        """
        self._do = do
        self._gather = gather
        self._mutex = threading.RLock()  # both are RLocks, which know their owner: see _let_go
        self._turn = threading.RLock()
        self._next: _Turn[G, T] | None = None  # the call that has not begun yet, if a caller waits for it

    def __call__(self, given: G) -> T:
        while True:
            ours: _Turn[G, T] = _Turn()
            try:
                with self._mutex:
                    turn = self._next = self._next or ours
                    turn.given.append(given)
                if turn is ours:
                    return self._lead(ours)
                turn.wait()
            except BaseException:  # a time limit may raise anywhere here
                self._end(ours)
                raise
            if turn.answers:
                return turn.answers[0]

    def _lead(self, turn: "_Turn[G, T]") -> T:
        with self._turn:
            if seconds := self._gather():
                sleep(seconds)
            with self._mutex:
                self._next = None
            turn.answers.append(self._do(turn.given))
        turn.end()
        return turn.answers[0]

    def _end(self, turn: "_Turn[G, T]") -> None:
        """Wake those who wait for our call: there is a result, or they call again."""
        _let_go(self._turn)
        _let_go(self._mutex)
        with self._mutex:
            self._next = None
        turn.end()


def _let_go(lock: Any) -> None:
    """From Python 3.14 on an exception may come when ``with`` has the lock, but its block has not begun."""
    if lock._is_owned():
        lock.release()


class SharedRead(SharedCall[None, T]):
    """Calls ``read``, which needs nothing of its callers."""

    def __init__(self, read: Callable[[], T]) -> None:
        super().__init__(lambda _: read())

    def __call__(self, given: None = None) -> T:
        return super().__call__(given)


class _Turn(Generic[G, T]):
    """One call. Each thread that waits has a bare lock: an ``Event`` would cost twenty calls in Python."""

    __slots__ = ("_is_over", "answers", "given", "waiting")

    def __init__(self) -> None:
        self.given: list[G] = []
        self.answers: list[T] = []  # one, or none if it failed
        self.waiting: list[threading.Lock] = []  # each is released when this is over
        self._is_over = False

    def wait(self) -> None:
        released = threading.Lock()
        released.acquire()
        self.waiting.append(released)
        if not self._is_over:  # else nobody may look at the list any more
            released.acquire()

    def end(self) -> None:
        """May be called again, if the first call was interrupted."""
        self._is_over = True
        for waits in self.waiting:
            if waits.locked():
                waits.release()
