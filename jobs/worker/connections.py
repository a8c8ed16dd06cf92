"""Database connections in the worker: a child keeps its own from task to task; in the main process none is open at a
fork.

Celery's Django fixup closes a child's connection around every task, whatever CONN_MAX_AGE says, and a new one costs ten
times as much as a kept one. Its own CELERY_DB_REUSE_MAX does not help: after a restart of PostgreSQL every later task
of that child fails.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, signals
from celery.fixups.django import DjangoFixup
from django.db import DEFAULT_DB_ALIAS, connections

from cnaasjobs.db import session

_no_fork = threading.Lock()
_is_guarded = False


def install(app: Celery) -> None:
    """Call once, in the main process, before the pool forks."""
    global _is_guarded
    for fixup in app._fixups:
        if isinstance(fixup, DjangoFixup):
            fixup.worker_fixup.close_database = close_what_broke
            # Doing it after each task is enough; before one, the claim has just used the connection.
            signals.task_prerun.disconnect(fixup.worker_fixup.on_task_prerun)
    if session.is_in_process() and not _is_guarded:
        _is_guarded = True
        os.register_at_fork(before=_before_fork, after_in_parent=_no_fork.release, after_in_child=_no_fork.release)


def close_what_broke(**_: Any) -> None:
    """What Django does between two web requests: the next use checks the connection, and opens one if necessary."""
    for connection in connections.all(initialized_only=True):
        connection.close_if_unusable_or_obsolete()


@contextmanager
def in_main_process() -> Iterator[None]:
    """Every use of the database by a thread of the main process."""
    if not _is_guarded:
        yield
        return
    # SQLite keeps locks and counts for all connections of a process: a child that is forked while one is open, and
    # opens its own, waits forever.
    with _no_fork:
        try:
            yield
        finally:
            close()


def close() -> None:
    """This thread's connection, whatever state it is in."""
    connections[DEFAULT_DB_ALIAS].close()


def _before_fork() -> None:
    _no_fork.acquire()
    close()
