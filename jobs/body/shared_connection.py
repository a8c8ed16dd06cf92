"""The one database connection that all threads of a body share, beside the one of its own thread."""

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
        self._mutex = threading.RLock()

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        if threading.get_ident() == self._own_thread:
            with _usable(connections[DEFAULT_DB_ALIAS]):
                yield
            return
        with self._mutex:
            if self._shared is None:
                self._shared = connections.create_connection(DEFAULT_DB_ALIAS)
                self._shared.inc_thread_sharing()
            before = getattr(connections._connections, DEFAULT_DB_ALIAS, None)  # type: ignore[attr-defined]
            connections[DEFAULT_DB_ALIAS] = self._shared
            try:
                with _usable(self._shared):
                    yield
            finally:
                if before is None:
                    del connections[DEFAULT_DB_ALIAS]
                else:
                    connections[DEFAULT_DB_ALIAS] = before

    def close(self) -> None:
        """No thread uses it any more."""
        with self._mutex:
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
