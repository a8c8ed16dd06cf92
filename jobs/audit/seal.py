"""The seal over the audit trail: a chain of keyed hashes that reveals changed, deleted and inserted entries.

Upkeep seals in batches what is committed for good, so no POST waits for another. A link covers all entries with ids
from the end of the link before up to its own end, as they were then. An id that a rolled-back transaction used up has
no entry, and an entry that appears there later is as much a fault as one that is gone. The key is derived from
SECRET_KEY: access to the database alone is not enough to make a link. Each link is also logged (``audit_sealed``): if
the end of the trail was cut off together with its links, the last one in the log shows it.
"""

import json
from dataclasses import dataclass
from typing import Final, cast

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.db.exclusive import exclusively
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.models import AuditEntry, AuditSeal
from jobs.sql import store

_BATCH: Final = 1000
_SALT: Final = "jobs.audit.seal"
_FIELDS: Final = ("id", "time", "who", "origin", "action", "job_id", "lock_name", "detail")


class Seal:
    """The step of upkeep.

    Remembers what it saw last time: entries are sealed once no transaction of that time is open.
    """

    def __init__(self) -> None:
        self._newest = 0  # the highest id of an entry that was there
        self._transaction: int | None = None  # when that was seen

    def step(self) -> int:
        """Seal what is committed for good, by at most one link. Returns how many entries were sealed."""
        with exclusively("audit_seal") as mine:
            if not mine:
                return 0
            sealed = 0
            if self._newest and store().all_before_have_ended(self._transaction):
                sealed = _seal_up_to(self._newest)
                self._newest = 0
            if not self._newest:
                self._newest = AuditEntry.objects.order_by("-id").values_list("id", flat=True).first() or 0
                self._transaction = store().transaction_number()
            return sealed


def _seal_up_to(newest: int) -> int:
    before = AuditSeal.objects.order_by("-id").first()
    first = 1 if before is None else before.last + 1
    if newest < first:
        return 0
    rows = _entries(first, newest, _BATCH + 1)
    last = newest if len(rows) <= _BATCH else cast("int", rows[_BATCH - 1][0])
    rows = rows[:_BATCH]
    link = AuditSeal.objects.create(
        first=first,
        last=last,
        entries=len(rows),
        digest=_digest("" if before is None else before.digest, first, last, rows, key=None),
        time=DatabaseNow(),
    )
    record(JobAction.AUDIT_SEALED, first=first, last=last, entries=len(rows), digest=link.digest)
    return len(rows)


Row = tuple[object, ...]


def _entries(first: int, last: int, at_most: int | None = None) -> list[Row]:
    return list(AuditEntry.objects.filter(id__gte=first, id__lte=last).order_by("id").values_list(*_FIELDS)[:at_most])


def _digest(before: str, first: int, last: int, rows: list[Row], *, key: str | None) -> str:
    text = json.dumps([before, first, last, rows], default=_time_text, ensure_ascii=True, separators=(",", ":"))
    return salted_hmac(_SALT, text, secret=key, algorithm="sha256").hexdigest()


def _time_text(value: object) -> str:
    return value.isoformat()  # type: ignore[attr-defined,no-any-return]  # a datetime, aware, UTC on both databases


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What ``verify`` found."""

    sealed: int  # entries whose links are valid
    unsealed: int  # entries after the last link
    faults: tuple[str, ...]  # what is wrong, in words; empty if the trail is intact


def verify() -> Verdict:
    """Walk the whole chain. Reads every entry once."""
    faults: list[str] = []
    before, expected_first, sealed, last = "", 1, 0, 0
    for link in AuditSeal.objects.order_by("id").iterator():
        if link.first != expected_first:
            faults.append(f"the link from entry {expected_first} on is missing")
        rows = _entries(link.first, link.last)
        if not _holds(link, before, rows):
            faults.append(_what_is_wrong(link, len(rows)))
        sealed += len(rows)
        before, expected_first, last = link.digest, link.last + 1, link.last
    return Verdict(sealed=sealed, unsealed=AuditEntry.objects.filter(id__gt=last).count(), faults=tuple(faults))


def _holds(link: AuditSeal, before: str, rows: list[Row]) -> bool:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(
        constant_time_compare(link.digest, _digest(before, link.first, link.last, rows, key=key)) for key in keys
    )


def _what_is_wrong(link: AuditSeal, found: int) -> str:
    where = f"entries {link.first} to {link.last}"
    if found != link.entries:
        return f"{where}: {link.entries} were sealed, {found} are there"
    return f"{where}: an entry was changed, or the link is not ours"
