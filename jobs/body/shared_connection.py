"""The database connection that all threads of a body share, beside the one of its own thread.

While that thread only waits for the others (``ctx.each`` with few devices) it lends them its own, which is open and has
the plans of the previous job's statements. Opening another takes longer than most of what they ask, and the first of
them would wait for it just before its commit. With many devices they have both: two of them need not wait for each
other's commit to reach the disk.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from cnaasjobs.db.not_now import not_now, part_with


class SharedConnection:
    """Opened when a thread first needs it. The thread that makes this object is the body's own."""

    def __init__(self) -> None:
        self._own_thread = threading.get_ident()
        self._shared: BaseDatabaseWrapper | None = None
        self._lent: BaseDatabaseWrapper | None = None
        self._has_both = False
        self._mutex = threading.RLock()  # whoever has it uses the shared one
        self._lent_mutex = threading.RLock()  # likewise the lent one
        self._closed = False

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        if threading.get_ident() == self._own_thread:
            with self._lent_mutex, _usable(connections[DEFAULT_DB_ALIAS]):
                yield
            return
        before = getattr(connections._connections, DEFAULT_DB_ALIAS, None)  # type: ignore[attr-defined]
        mutex = self._acquired(before)
        try:
            used = self._lent if mutex is self._lent_mutex and self._lent else self._of_threads()
            connections[DEFAULT_DB_ALIAS] = used
            try:
                with _usable(used):
                    yield
            finally:
                if before is None:
                    del connections[DEFAULT_DB_ALIAS]
                else:
                    connections[DEFAULT_DB_ALIAS] = before
        finally:
            mutex.release()

    def _acquired(self, before: BaseDatabaseWrapper | None) -> Any:
        """The mutex, acquired, of the connection that this thread uses already (``before``), or else of a free one."""
        if before is not None and before is self._shared:  # a transaction may be open on it
            self._mutex.acquire()
            return self._mutex
        lent = self._lent
        only_lent = lent is not None and (before is lent or not self._has_both)
        if not only_lent and self._mutex.acquire(blocking=lent is None):
            return self._mutex
        if self._lent_mutex.acquire(blocking=only_lent):
            if self._lent is not None:
                return self._lent_mutex
            self._lent_mutex.release()  # it was given back meanwhile
        self._mutex.acquire()
        return self._mutex

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Open the shared connection before it is needed, in a thread of its own, so that the body's does not wait."""
        with contextlib.suppress(RuntimeError):  # the system allows no more threads: it is opened when it is needed
            threading.Thread(target=self._open, name="opens-database", daemon=True).start()
        yield

    def _open(self) -> None:
        with self._mutex, contextlib.suppress(Error):  # the first that needs it tries again
            if not self._closed:
                self._of_threads().ensure_connection()

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Inside, all threads use the connection of the body's own thread, which calls this and itself uses ``use``."""
        own = connections[DEFAULT_DB_ALIAS]
        own.inc_thread_sharing()
        self._lent = own
        try:
            yield
        finally:
            with self._lent_mutex:  # wait for whoever is using it
                self._lent = None
            own.dec_thread_sharing()

    @contextlib.contextmanager
    def both(self) -> Iterator[None]:
        """Inside, threads use theirs or, if that is busy, the one of the body's own thread, as with ``lent``."""
        self._has_both = True
        with self.opened(), self.lent():
            yield

    def _of_threads(self) -> BaseDatabaseWrapper:
        if self._shared is None:
            self._shared = connections.create_connection(DEFAULT_DB_ALIAS)
            self._shared.inc_thread_sharing()
        return self._shared

    def close(self) -> None:
        """Close the shared connection. From now on no thread may use it."""
        with self._mutex:
            self._closed = True
            if self._shared is not None:
                self._shared.close()
                self._shared = None


@contextlib.contextmanager
def _usable(connection: Any) -> Iterator[None]:
    """Close a broken connection, so that the next use opens a new one."""
    try:
        yield
    except Error as exc:
        if not_now(exc):
            part_with(connection)
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        raise
