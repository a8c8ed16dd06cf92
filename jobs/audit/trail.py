"""The audit trail: what a person did over API, admin or command line, and what a worker's code started.

An entry is written in the transaction of the change that it describes, or not at all.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.db.insert import insert
from cnaasjobs.secrecy import mask
from jobs.deeds import Deed
from jobs.models import AuditEntry


@dataclass(frozen=True, kw_only=True)
class By:
    """A person who asks for something."""

    who: str
    origin: str  # the peer's address, or "command line"
    user: Any  # whose rights are checked; None at the command line, where everything is allowed
    token: str | None = None  # the hash of the token by which the user came, if it was one


def add(
    deed: Deed, *, who: str, origin: str, job_id: int | None = None, lock_name: str | None = None, detail: str = ""
) -> None:
    """Add an entry. Call it in the transaction of the change that it describes.

    Args:
        who: the person's name as text; where no person did it, what did.
        origin: the peer's address (``cnaasjobs.api.caller.origin``), "command line", or "worker".
    """
    entry = AuditEntry(
        time=cast("Any", DatabaseNow()),
        who=who[:255],
        origin=origin[:64],
        action=deed.value,
        job_id=job_id,
        lock_name=lock_name,
        detail=mask(detail),
    )
    entry.time = insert(entry) or entry.time
    getattr(_thread, "noted", []).append(entry)


_thread = threading.local()


@contextmanager
def noted() -> Iterator[list[AuditEntry]]:
    """Collects the entries that this thread adds inside the block."""
    _thread.noted = []
    try:
        yield _thread.noted
    finally:
        del _thread.noted
