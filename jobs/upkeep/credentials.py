"""Deletes sessions that are over, and API tokens some time after they expired. Until then a refusal can say so."""

from datetime import timedelta
from typing import Any, Final

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from knox.models import AuthToken

from cnaasjobs.db.clock import database_now
from cnaasjobs.db.exclusive import exclusively
from cnaasjobs.db.rows import free_rows
from jobs.audit import accounts
from jobs.background.budget import Budget

TOKENS_KEPT: Final = timedelta(days=30)
_BATCH: Final = 500
_SECONDS: Final = 2.0


def forget() -> int:
    """In batches, each in its own transaction. Returns how many."""
    with exclusively("credentials") as mine:
        if not mine:
            return 0
        budget, now = Budget(_SECONDS), database_now()
        over = Session.objects.filter(expire_date__lt=now).order_by("expire_date")
        ended = AuthToken.objects.filter(expiry__lt=now - TOKENS_KEPT).order_by("expiry")
        with accounts.done_by("the platform", "Beat"):
            return sum(_delete(rows, budget) for rows in (over, ended))


def _delete(rows: QuerySet[Any], budget: Budget) -> int:
    deleted = 0
    while budget.left():
        with transaction.atomic():
            batch = [row.pk for row in free_rows(rows).only("pk")[:_BATCH]]
            rows.model._default_manager.filter(pk__in=batch).delete()
        deleted += len(batch)
        if len(batch) < _BATCH:
            break
    return deleted
