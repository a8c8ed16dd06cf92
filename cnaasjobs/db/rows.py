"""Rows that several processes take from a table at the same time."""

from typing import TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def free_rows(queryset: QuerySet[M]) -> QuerySet[M]:
    """Lock these rows until the transaction ends, except those that another process has locked.

    SQLite has one writer.
    """
    if connection.vendor != "postgresql":
        return queryset
    return queryset.select_for_update(skip_locked=True, of=("self",))
