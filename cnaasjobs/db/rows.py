"""Rows that several processes take from a table at the same time, and many new rows that are almost the same."""

from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.base import ModelState

M = TypeVar("M", bound=Model)


def free_rows(queryset: QuerySet[M]) -> QuerySet[M]:
    """Lock these rows until the transaction ends, except those that another process has locked.

    SQLite has one writer.
    """
    if connection.vendor != "postgresql":
        return queryset
    return queryset.select_for_update(skip_locked=True, of=("self",))


def like(row: M, **fields: Any) -> M:
    """A copy of a row that is not stored yet, with these fields changed. Django takes 15 times as long for one."""
    made = row.__class__.__new__(row.__class__)
    made.__dict__ = {**row.__dict__, "_state": ModelState(), **fields}
    return made
