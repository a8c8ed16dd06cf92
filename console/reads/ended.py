"""What an ended job shows does not change any more, so each process keeps what it has rendered of some.

The key is the number of the job's last change, which any write to its row raises, and the name of the change feed,
which differs between databases. What its devices left was written before its end.
"""

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from django.db import connection

from jobs.models import Job
from jobs.states import TERMINAL

T = TypeVar("T")


class Ended(Generic[T]):
    def __init__(self, most: int) -> None:
        self._most = most
        _all.append(self)
        self._kept: dict[Hashable, T] = {}

    def get(self, feed: str, job: Job, *about: Hashable) -> T | None:
        return self._kept.get((feed, job.pk, job.change, about))

    def keep(self, answer: T, feed: str, job: Job, *about: Hashable) -> None:
        """Keep this of a job that has ended. Not in a transaction, where every change has the same number."""
        if job.status not in TERMINAL or connection.in_atomic_block:
            return
        if len(self._kept) >= self._most:
            self._kept.clear()
        self._kept[feed, job.pk, job.change, about] = answer

    def forget(self) -> None:
        self._kept.clear()


_all: list[Ended[Any]] = []


def forget() -> None:
    """For tests, each of which has a database of its own."""
    for each in _all:
        each.forget()
