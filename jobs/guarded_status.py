"""A job's status at run time: it moves along ``TRANSITIONS`` by ``transit``, and nothing else may write it.

So a queryset and ``save`` refuse what a reader of the code may miss: ``update(**fields)`` where ``fields`` came from
elsewhere, or saving a whole stale row. Hand-written statements are not seen here: a test looks for them in the
product's source, and for callers of ``transit`` outside ``jobs.lifecycle``.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import models

from jobs.states import SCHEDULED, TRANSITIONS, Verb

M = TypeVar("M", bound=models.Model)

_made_up: ContextVar[bool] = ContextVar("made_up", default=False)


class StatusIsGuarded(TypeError):
    """Code that may not write a job's status would do so."""

    def __init__(self) -> None:
        super().__init__("a job is born SCHEDULED, and only jobs.lifecycle moves it, by transit(verb)")


@contextmanager
def made_up_states() -> Iterator[None]:
    """For tests and benchmarks: inside, jobs are written as if they had reached their states by themselves."""
    before = _made_up.set(True)
    try:
        yield
    finally:
        _made_up.reset(before)


def _refuse(writes_status: bool) -> None:
    if writes_status and not _made_up.get():
        raise StatusIsGuarded


class StatusQuerySet(models.QuerySet[M]):
    def transit(self, verb: Verb, **fields: Any) -> int:
        """Apply ``verb`` to the rows in a state that it starts from, in one statement.

        Returns how many; 0 is an answer.
        """
        source, target = TRANSITIONS[verb]
        return models.QuerySet.update(self.filter(status=source.value), status=target.value, **fields)

    def update(self, **fields: Any) -> int:
        _refuse("status" in fields)
        return super().update(**fields)

    def bulk_update(self, objs: Iterable[M], fields: Iterable[str], batch_size: int | None = None) -> int:
        names = list(fields)
        _refuse("status" in names)
        return super().bulk_update(objs, names, batch_size)

    def bulk_create(
        self,
        objs: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[M]:
        rows = list(objs)
        _refuse("status" in (update_fields or ()) or not all(map(_is_born, rows)))
        return super().bulk_create(rows, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)


class GuardedStatus(models.Model):
    """The base of a model with a ``status``."""

    objects = StatusQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(
        self, *args: Any, force_insert: Any = False, update_fields: Iterable[str] | None = None, **options: Any
    ) -> None:
        names = None if update_fields is None else set(update_fields)
        # With a key given, Django would first look for a row to update.
        is_new = force_insert or self.pk is None
        _refuse(not _is_born(self) if is_new else names is None or "status" in names)
        super().save(*args, force_insert=force_insert, update_fields=names, **options)


def _is_born(row: Any) -> bool:
    return bool(row.status == SCHEDULED)
