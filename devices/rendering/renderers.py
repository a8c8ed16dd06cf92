"""The processes that render for this one. They are started when they are needed, and used again by later jobs."""

import atexit
import contextlib
import os
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final

from devices.rendering.renderer import PAUSE_SECONDS, Renderer, Wanted

PROCESSES: Final = min(4, max(2, os.cpu_count() or 1))  # two at least: one that hangs does not stop the others
_IDLE_SECONDS: Final = 300.0
_FRESH_SECONDS: Final = 1.0  # so long nobody asks the kernel whether one still runs: a system call for each device


class Pool:
    """Of this process. A child that it forks has one of its own."""

    def __init__(self) -> None:
        self._places = threading.Semaphore(PROCESSES)
        self._mutex = threading.Lock()
        self._idle: list[tuple[float, Renderer]] = []  # since when; the one that was used last is used next
        self._orders: queue.SimpleQueue[tuple[int, Future[Renderer]]] = queue.SimpleQueue()
        # The kernel ends a renderer with the thread that started it, and a job's threads end with the job.
        threading.Thread(target=self._start, name="renderers", daemon=True).start()

    @contextlib.contextmanager
    def renderer(self, *, memory_mb: int, wanted: Wanted) -> Iterator[Renderer]:
        """One, for one device. What ``wanted`` raises while all are busy passes; OSError when none can be started."""
        while not self._places.acquire(timeout=PAUSE_SECONDS):
            wanted()
        try:
            renderer = self._taken(memory_mb) or self._order(memory_mb).result()
            try:
                yield renderer
            finally:
                self._keep(renderer)
        finally:
            self._places.release()

    def warm(self, *, memory_mb: int) -> None:
        """A job begins: start one for each place that has none, and don't wait for it."""
        with self._mutex:
            missing = PROCESSES - len(self._idle)
        for _ in range(missing):
            self._order(memory_mb).add_done_callback(self._keep_started)

    def close(self) -> None:
        with self._mutex:
            idle, self._idle = self._idle, []
        for _, renderer in idle:
            renderer.close()

    def disown(self) -> None:
        """In a child that was forked: these are its parent's, which must see the end of their sockets."""
        for _, renderer in self._idle:
            renderer.disown()

    # --- idle ones ----------------------------------------------------------------------------------------------------

    def _taken(self, memory_mb: int) -> Renderer | None:
        while True:
            with self._mutex:
                if not self._idle:
                    return None
                since, renderer = self._idle.pop()
            is_fresh = time.monotonic() - since < _FRESH_SECONDS
            if renderer.memory_mb == memory_mb and (is_fresh or renderer.alive):
                return renderer
            renderer.close()

    def _keep(self, renderer: Renderer) -> None:
        if not renderer.is_closed:
            with self._mutex:
                self._idle.append((time.monotonic(), renderer))

    def _keep_started(self, started: Future[Renderer]) -> None:
        if started.exception() is None:  # else the first device that needs one says why
            self._keep(started.result())

    # --- starting -----------------------------------------------------------------------------------------------------

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
        with self._mutex:
            old = [renderer for since, renderer in self._idle if now - since > _IDLE_SECONDS]
            self._idle = [(since, renderer) for since, renderer in self._idle if now - since <= _IDLE_SECONDS]
        for renderer in old:
            renderer.close()


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
