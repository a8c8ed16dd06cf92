"""The one database connection that all threads of a body share, beside the one of its own thread.

While that thread only waits for the others (``ctx.each`` with few devices) it lends them its own, which is open and has
the plans of the previous job's statements. Opening another takes longer than most of what they ask, and the first of
them would wait for it just before its commit.
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
        self._mutex = threading.RLock()
        self._closed = False

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        if threading.get_ident() == self._own_thread:
            with self._mutex if self._lent else contextlib.nullcontext(), _usable(connections[DEFAULT_DB_ALIAS]):
                yield
            return
        with self._mutex:
            shared = self._lent or self._of_threads()
            before = getattr(connections._connections, DEFAULT_DB_ALIAS, None)  # type: ignore[attr-defined]
            connections[DEFAULT_DB_ALIAS] = shared
            try:
                with _usable(shared):
                    yield
            finally:
                if before is None:
                    del connections[DEFAULT_DB_ALIAS]
                else:
                    connections[DEFAULT_DB_ALIAS] = before

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Opens it before a thread needs it, in a thread that does only that: the body's own does not wait."""
        threading.Thread(target=self._open, name="opens-database", daemon=True).start()
        yield

    def _open(self) -> None:
        with self._mutex, contextlib.suppress(Error):  # the first that needs it tries again
            if not self._closed:
                self._of_threads().ensure_connection()

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Inside, all threads use the connection of the body's own thread, which calls this and goes by ``use`` too."""
        own = connections[DEFAULT_DB_ALIAS]
        own.inc_thread_sharing()
        self._lent = own
        try:
            yield
        finally:
            with self._mutex:  # whoever is using it has done so
                self._lent = None
            own.dec_thread_sharing()

    def _of_threads(self) -> BaseDatabaseWrapper:
        if self._shared is None:
            self._shared = connections.create_connection(DEFAULT_DB_ALIAS)
            self._shared.inc_thread_sharing()
        return self._shared

    def close(self) -> None:
        """No thread uses it any more."""
        with self._mutex:
            self._closed = True
            if self._shared is not None:
                with contextlib.suppress(Error):
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
