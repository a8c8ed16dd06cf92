"""One transaction around a request that schedules, and the ``Idempotency-Key`` that makes repeating it safe.

The key's row is inserted first, in the transaction that schedules. A second request with the same key waits on the
unique constraint until the first has committed, and gets the stored answer; if the first rolled back, the second goes
ahead.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import orjson
from django.db import Error, IntegrityError, transaction
from rest_framework.response import Response

from cnaasjobs.api.errors import BadRequest, Conflict, Unavailable
from cnaasjobs.db import session
from cnaasjobs.db.clock import DatabaseNow, database_now
from cnaasjobs.db.not_now import outcome_is_unknown
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.api.withdraw import withdraw_later
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.models import IdempotencyKey

KEPT = timedelta(hours=24)
MAX_KEY_LENGTH = 255

OUTCOME_UNKNOWN = "The database was lost in the middle of the commit: it is not known whether a job was scheduled"
REPEAT_WITH_KEY = "Repeat the request with the same Idempotency-Key: it returns that job, or schedules one"
_WITHDRAWN = "The first request with this Idempotency-Key was just withdrawn: repeat this one"
LOOK_FIRST = "Look for the job before you repeat the request; with an Idempotency-Key repeating it is safe"


class OutcomeUnknown(Unavailable):
    """The database went away in the middle of the commit."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that can be stored and sent again: the whole envelope, and its headers."""

    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        return Response(dict(self.body), headers=dict(self.headers))


def once(*, user: str, key: str | None, content: Any, make: Callable[[], Answer]) -> Answer:
    """Run ``make`` in one transaction; with a key, at most once in 24 hours for this user.

    Args:
        key: the ``Idempotency-Key`` header; None or empty runs ``make`` each time.
        content: what the request asked for, as parsed JSON, including its target; compared, but not stored.
        make: schedules and audits. If it raises, everything is undone, including the key.

    Raises:
        Conflict: the key was used with different content.
        BadRequest: the key is too long.
        OutcomeUnknown: the database went away in the middle of the commit.
        Error: the database's, and nothing was scheduled.
    """
    if key and len(key) > MAX_KEY_LENGTH:
        raise BadRequest(f"Idempotency-Key is longer than {MAX_KEY_LENGTH} characters")
    committed = False

    def note_commit() -> None:
        nonlocal committed
        committed = True

    answer: Answer | None = None
    backend = 0
    try:
        with transaction.atomic(durable=True):
            transaction.on_commit(note_commit)  # the first to run after the commit
            with trail.noted() as entries:
                answer = _once(user, key, content, make) if key else make()
            backend = session.server_process()
    except Error as exc:
        if answer is None:
            raise
        if committed:  # it is scheduled: Beat and upkeep repair whatever failed after that
            record(JobAction.AFTER_COMMIT_FAILED, exc=exc, job_id=answer.body.get("job_id"))
            return answer
        if not backend or not outcome_is_unknown(exc):
            raise
        for entry in entries:  # none where the answer is that of an earlier request
            if entry.action == Deed.SCHEDULED:
                withdraw_later(entry, backend=backend, key=(user, key) if key else None)
        advice = REPEAT_WITH_KEY if key else LOOK_FIRST
        raise OutcomeUnknown(f"{OUTCOME_UNKNOWN}. {advice}", headers={"Retry-After": "2"}) from exc
    return answer


def _once(user: str, key: str, content: Any, make: Callable[[], Answer]) -> Answer:
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    IdempotencyKey.objects.filter(user=user, key=key, created__lt=database_now() - KEPT).delete()
    try:
        row, is_first = IdempotencyKey.objects.get_or_create(
            user=user,
            key=key,
            defaults={"body_hash": digest, "created": cast("Any", DatabaseNow()), "response": ""},
        )
    except IntegrityError as exc:  # there was a row, and now there is none
        raise Conflict(_WITHDRAWN) from exc
    if is_first:
        answer = make()
        stored = json.dumps({"body": dict(answer.body), "headers": dict(answer.headers)})
        IdempotencyKey.objects.filter(pk=row.pk).update(response=stored)
        return answer
    if row.body_hash != digest:
        raise Conflict("Idempotency-Key was already used with another request")
    return _repeated(row.pk)


def _repeated(pk: int) -> Answer:
    """The stored answer, with a note that it was sent again: from then on the job is not withdrawn."""
    row = IdempotencyKey.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        raise Conflict(_WITHDRAWN)
    stored = json.loads(row.response)
    if not stored.get("repeated"):
        IdempotencyKey.objects.filter(pk=pk).update(response=json.dumps({**stored, "repeated": True}))
    return Answer(body=stored["body"], headers=stored["headers"])
