"""Release, keep and clear named locks. Each is one guarded statement; zero rows is an answer.

A lock is taken by the statement that starts its holder (``jobs.sql``). ``release`` belongs in the transaction that ends
it. In every transaction the lock's row is written before the holder's, so that two of them cannot deadlock.
"""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from cnaasjobs.events import record
from locks import holders
from locks.actions import LockAction
from locks.models import Lock


class LockNotFound(LookupError):
    """Nobody holds a lock of this name."""

    def __init__(self, name: str) -> None:
        super().__init__("No such lock found in database")
        self.name = name


class ClearRefused(Exception):
    """The user may not clear this lock. The text says why."""


@dataclass(frozen=True, kw_only=True)
class ClearedLock:
    """The lock as it was when it was cleared."""

    name: str
    holder_id: int


def held() -> QuerySet[Lock]:
    """The locks that are held now, by name."""
    return Lock.objects.filter(holder_id__isnull=False).order_by("name")


def locked_row(name: str) -> Lock:
    """The lock's row, locked until the transaction ends: nobody acquires or releases the lock meanwhile."""
    row = Lock.objects.select_for_update().filter(name=name).first()
    if row is None:
        Lock.objects.bulk_create([Lock(name=name)], ignore_conflicts=True)
        row = Lock.objects.select_for_update().get(name=name)
    return row


def release(name: str, *, holder_id: int, fence: int) -> bool:
    """Free the lock if this holder still has it under this token; False if it was cleared or taken over meanwhile."""
    freed = Lock.objects.filter(name=name, holder_id=holder_id, fence=fence).update(holder_id=None, start_time=None)
    return freed == 1


def is_held(name: str, *, holder_id: int, fence: int | None) -> bool:
    """Whether this holder has it by this token, as far as can be seen now."""
    return fence is not None and Lock.objects.filter(name=name, holder_id=holder_id, fence=fence).exists()


def keep(name: str, *, holder_id: int, fence: int) -> bool:
    """Whether this holder still has it under this token. If so nobody takes it away before the transaction ends."""
    mine = Lock.objects.select_for_update().filter(name=name, holder_id=holder_id, fence=fence)
    return mine.values_list("pk").first() is not None


def _fence_to_clear(name: str, user: Any, fence: int | None) -> int | None:
    """The token under which this user may clear the lock: ``fence``, or else that of the holder they were checked for.

    Only a user whose permission is limited costs a statement.

    Raises:
        ClearRefused
    """
    asked: list[Lock] = []

    def holder() -> int | None:
        asked.extend(held().filter(name=name))
        return asked[0].holder_id if asked else None

    if why := holders.provider().refuses(user, holder):
        raise ClearRefused(why)
    return asked[0].fence if asked and fence is None else fence


def clear(name: str, *, who: str, origin: str, user: Any, fence: int | None = None) -> ClearedLock:
    """Free the lock, whoever holds it. The old holder finds out at its next safe point that its token is gone.

    Args:
        user: who has the permission to clear locks, perhaps not those of every holder; None is the shell.
        fence: clear it only while it is held under this token, the one that the person saw before deciding.

    Raises:
        LockNotFound: nobody holds a lock of that name (under that token).
        ClearRefused
    """
    if user is not None:
        fence = _fence_to_clear(name, user, fence)
    with transaction.atomic():
        row = Lock.objects.select_for_update().filter(name=name, holder_id__isnull=False).first()
        if row is None or row.holder_id is None or fence not in (None, row.fence):
            raise LockNotFound(name)
        release(name, holder_id=row.holder_id, fence=row.fence)
        holders.provider().cleared(name, holder_id=row.holder_id, who=who, origin=origin)
        cleared = {"lock": name, "job_id": row.holder_id, "who": who, "origin": origin}
        transaction.on_commit(lambda: record(LockAction.CLEAR, cleared), robust=True)
        transaction.on_commit(lambda: holders.provider().wake(name), robust=True)  # else upkeep wakes it
    return ClearedLock(name=name, holder_id=row.holder_id)
