"""The threads of one participant: each works on one device at a time, and nobody waits for one that hangs."""

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from django.db import connections

from jobs.fleet.one_cpu import OneCpu

_current = threading.local()


@dataclass(eq=False)
class Piece:
    """Something to do on one device. ``result`` is there when its thread has done it."""

    work: Callable[["Piece"], Any]
    id: int
    host: str
    device: Any
    result: Any = None
    at: str = ""  # what its thread is doing
    begun_at: float = 0.0  # monotonic
    deadline: float = math.inf  # monotonic; after it the thread hangs
    taken_back: bool = False  # the job was stopped while it was in progress
    given_up: bool = False  # its thread hangs: whatever it still returns is ignored
    _leaving: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def give_up(self, now: float) -> bool:
        """Give this piece up if its thread hangs; returns whether it does. Not if the thread has left its block."""
        with self._leaving:
            self.given_up = self.deadline < now
        return self.given_up


class Within(contextlib.AbstractContextManager[None]):
    """A block in which a piece's thread hangs after this many seconds. If it returns after that, it does not go on.

    A class, because a generator is slower: a dozen are entered for each device.
    """

    __slots__ = ("_at", "_before", "_piece", "_seconds")

    def __init__(self, piece: Piece, seconds: float | None, at: str) -> None:
        self._piece, self._seconds, self._at = piece, seconds, at

    def __enter__(self) -> None:
        piece, seconds = self._piece, self._seconds
        self._before = piece.at, piece.deadline
        piece.at, piece.deadline = self._at, math.inf if seconds is None else time.monotonic() + seconds

    def __exit__(self, *_: object) -> None:
        piece = self._piece
        with piece._leaving:
            if not piece.given_up:
                piece.at, piece.deadline = self._before
        if piece.given_up:
            threading.Event().wait()  # until the process ends: the device belongs to others by now


@dataclass
class Hands:
    """Up to ``size`` threads, started as they are needed. All methods are the coordinating thread's.

    ``Piece.work`` must not raise: what a thread raises would be lost.
    """

    size: int
    busy: dict[int, tuple[Piece, threading.Thread]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._mutex = threading.Lock()
        # Two conditions, so that a thread that is done wakes the coordinating thread, and not all idle ones.
        self._given = threading.Condition(self._mutex)
        self._was_done = threading.Condition(self._mutex)
        self._todo: deque[Piece] = deque()
        self._done: deque[Piece] = deque()
        self._resting = 0
        self._wake_at = 0
        self._closed = False
        self._numbers = 0
        self._cpu = OneCpu()

    @property
    def in_hand(self) -> int:
        """How many pieces are being worked on, or wait for a thread."""
        with self._mutex:
            return len(self.busy) + len(self._todo)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is being worked on, and no finished piece is left."""
        with self._mutex:
            return not (self.busy or self._todo or self._done)

    def give(self, pieces: list[Piece]) -> None:
        with self._mutex:
            self._follow()
            self._todo.extend(pieces)
            self._start_what_lacks()
            self._given.notify(len(pieces))

    def recall(self) -> list[Piece]:
        """Remove the pieces that no thread has begun, and return them."""
        with self._mutex:
            pieces, self._todo = list(self._todo), deque()
        return pieces

    def in_progress(self) -> list[Piece]:
        with self._mutex:
            return [piece for piece, _ in self.busy.values()]

    def wait(self, seconds: float, *, until: int) -> None:
        """Wait until a piece is done and at most ``until`` pieces are in hand, or for this many seconds.

        It sleeps until few enough are in hand, because after each waking two threads must get Python's lock again.
        """
        with self._mutex:
            self._wake_at = until
            self._start_what_lacks()
            if not (self._done and len(self.busy) + len(self._todo) <= until):
                self._was_done.wait(seconds)
            self._follow()

    def done(self) -> list[Piece]:
        """The pieces that were done since the last call."""
        with self._mutex:
            done, self._done = list(self._done), deque()
        return done

    def hung(self) -> list[tuple[Piece, threading.Thread]]:
        """Give up the pieces whose time is over. Their threads are not waited for; ``wait`` starts others in their
        place.
        """
        now = time.monotonic()
        with self._mutex:
            late = [entry for entry in self.busy.values() if entry[0].give_up(now)]
            for piece, thread in late:
                thread.name = f"given-up-{thread.name}"
                del self.busy[id(piece)]
        return late

    def close(self) -> None:
        """No more work is given; threads end when they have finished their pieces."""
        with self._mutex:
            self._closed = True
            self._todo.clear()
            self._given.notify_all()

    def _follow(self) -> None:
        self._cpu.follow(thread for _, thread in self.busy.values())

    def _start_what_lacks(self) -> None:
        """A thread for each piece that has none, as far as ``size`` allows, and the system."""
        while self._resting < min(len(self._todo), self.size - len(self.busy)):
            self._numbers += 1
            # A daemon thread, because a thread that was given up must not keep the process alive.
            thread = threading.Thread(target=self._work, name=f"device-{self._numbers}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system allows no more of them (a container's limit): those that are there go on
                if not (self._resting or self.busy):
                    raise
                return
            self._resting += 1

    def _work(self) -> None:
        try:
            self._until_closed(threading.current_thread())
        finally:
            connections.close_all()  # a step that used Django's ORM outside ``ctx.database`` opened one

    def _until_closed(self, thread: threading.Thread) -> None:
        while True:
            with self._mutex:
                while not self._todo and not self._closed:
                    self._given.wait()
                self._resting -= 1
                if not self._todo:
                    return
                piece = self._todo.popleft()
                self.busy[id(piece)] = piece, thread
            self._cpu.bind()
            piece.begun_at = time.monotonic()
            _current.piece = piece
            piece.result = piece.work(piece)
            _current.piece = None
            with self._mutex:
                del self.busy[id(piece)]
                self._done.append(piece)
                self._resting += 1
                if len(self.busy) + len(self._todo) <= self._wake_at:
                    self._was_done.notify()


# The piece that the calling thread is working on. It is asked for before each call of a driver, and a partial is faster
# than a function of Python.
in_hand: Final[Callable[[], Piece | None]] = partial(getattr, _current, "piece", None)
