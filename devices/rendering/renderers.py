"""The processes that render for this one. They are started when needed, and used again by later jobs."""

import atexit
import contextlib
import os
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final

from devices.rendering.renderer import PAUSE_SECONDS, Renderer, StillWanted

PROCESSES: Final = min(4, max(2, os.cpu_count() or 1))  # at least two, so that one that hangs does not stop the others
_IDLE_SECONDS: Final = 300.0
_FRESH_SECONDS: Final = 1.0  # how often the kernel is asked whether one still runs: a system call
# How long to wait for one in use before another is started. To start one takes a tenth of a second of a core; a device
# takes a few milliseconds, unless its templates are slow.
_PATIENCE_SECONDS: Final = 0.2


class Pool:
    """Belongs to this process. A forked child has its own."""

    def __init__(self) -> None:
        self._places = threading.Semaphore(PROCESSES)
        self._changed = threading.Condition(threading.Lock())
        # Each with the time at which it became idle; some are still starting. With those in use, at most PROCESSES.
        self._idle: list[tuple[float, Future[Renderer]]] = []
        self._in_use = 0
        self._orders: queue.SimpleQueue[tuple[int, Future[Renderer]]] = queue.SimpleQueue()
        # The kernel ends a renderer with the thread that started it, and a job's threads end with the job.
        threading.Thread(target=self._start, name="renderers", daemon=True).start()

    @contextlib.contextmanager
    def renderer(self, *, memory_mb: int, wanted: StillWanted, pause: float = PAUSE_SECONDS) -> Iterator[Renderer]:
        """A renderer for one message.

        What ``wanted`` raises is passed on: it is called after each pause in which all were busy. OSError if none can
        be started.
        """
        while not self._places.acquire(timeout=pause):
            wanted()
        try:
            since, found = self._taken(memory_mb)
            try:
                if not self._is_usable(since, found, memory_mb):
                    found.result().close()
                    found = self._order(memory_mb)
                yield found.result()
            finally:
                self._give_back(found)
        finally:
            self._places.release()

    def warm(self, *, memory_mb: int) -> None:
        """A job begins: start one if there is none, without waiting for it.

        One is enough: it renders most of a job's devices, ahead of their turn. Starting another takes 0.05 s of a core,
        just when all workers that help with the job have the most to do.
        """
        with self._changed:
            if not self._idle:
                self._idle.append((time.monotonic(), self._order(memory_mb)))

    def close(self) -> None:
        with self._changed:
            idle, self._idle = self._idle, []
        _close(idle)

    def disown(self) -> None:
        """For a forked child: close its copies of the sockets, which belong to the parent. It must see them end."""
        for _, found in self._idle:
            if found.done() and found.exception() is None:
                found.result().disown()

    def _taken(self, memory_mb: int) -> tuple[float, Future[Renderer]]:
        with self._changed:
            self._changed.wait_for(lambda: self._idle or not self._in_use, timeout=_PATIENCE_SECONDS)
            self._in_use += 1
            return self._idle.pop(self._best()) if self._idle else (time.monotonic(), self._order(memory_mb))

    def _is_usable(self, since: float, found: Future[Renderer], memory_mb: int) -> bool:
        renderer = found.result()
        is_fresh = time.monotonic() - since < _FRESH_SECONDS
        return renderer.memory_mb == memory_mb and (is_fresh or renderer.alive)

    def _give_back(self, found: Future[Renderer]) -> None:
        with self._changed:
            self._in_use -= 1
            if not found.done() or (found.exception() is None and not found.result().is_closed):
                self._idle.append((time.monotonic(), found))
            self._changed.notify()

    def _best(self) -> int:
        """The renderer to use next: the one that was used last, rather than one that is still starting."""
        return next((at for at in range(len(self._idle) - 1, -1, -1) if self._idle[at][1].done()), -1)

    # --- the thread that starts them ----------------------------------------------------------------------------------

    def _order(self, memory_mb: int) -> Future[Renderer]:
        ordered: Future[Renderer] = Future()
        self._orders.put((memory_mb, ordered))
        return ordered

    def _start(self) -> None:
        while True:
            try:
                memory_mb, ordered = self._orders.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                self._retire()
                continue
            try:
                ordered.set_result(Renderer(memory_mb=memory_mb))
            except BaseException as exc:  # noqa: BLE001  (the thread that waits for it raises it)
                ordered.set_exception(exc)

    def _retire(self) -> None:
        now = time.monotonic()
        with self._changed:
            old = [(since, found) for since, found in self._idle if now - since > _IDLE_SECONDS]
            self._idle = [(since, found) for since, found in self._idle if now - since <= _IDLE_SECONDS]
        _close(old)


def _close(idle: list[tuple[float, Future[Renderer]]]) -> None:
    for _, found in idle:
        if found.done() and found.exception() is None:
            found.result().close()


_pool: Pool | None = None
_mutex = threading.Lock()


def pool() -> Pool:
    global _pool
    with _mutex:
        if _pool is None:
            _pool = Pool()
        return _pool


def _in_forked_child() -> None:
    global _pool, _mutex
    _mutex = threading.Lock()
    before, _pool = _pool, None
    if before is not None:
        before.disown()


def _at_exit() -> None:
    if _pool is not None:
        _pool.close()


os.register_at_fork(after_in_child=_in_forked_child)
atexit.register(_at_exit)
