"""Takes back a job whose request was answered 503 because the commit's answer never came.

A server that froze or lost its connection inside COMMIT may have committed or not, and the client must hear something
within 2 s. It hears 503, which promises that nothing was scheduled; this makes it true as soon as the server is back.
The job has no message yet, so nobody starts it in the meantime unless its own time comes first; then it is aborted.
"""

import json
import logging
import threading
import time
from contextlib import suppress

from django.db import Error, connection, transaction

from cnaasjobs.db import session
from cnaasjobs.db.not_now import not_now
from jobs.errors import JobNotAbortable, JobNotFound
from jobs.lifecycle import transitions
from jobs.models import AuditEntry, IdempotencyKey, Job
from jobs.sql import totals
from jobs.states import Status

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.1
GIVE_UP_SECONDS = 3600.0


def withdraw_later(job_id: int, *, backend: int, key: tuple[str, str] | None) -> None:
    """Return at once; withdraw the job in a thread of its own, as soon as the outcome of its commit is known.

    Args:
        backend: the process of the server that had the commit.
        key: user and Idempotency-Key. If it was used again meanwhile, that answer stands, and the job too.
    """
    log.warning("the outcome of a commit is unknown", extra={"job_id": job_id, "action": "withdraw_later"})
    threading.Thread(target=_withdraw, args=(job_id, backend, key), name=f"withdraw-{job_id}", daemon=True).start()


def _withdraw(job_id: int, backend: int, key: tuple[str, str] | None) -> None:
    deadline = time.monotonic() + GIVE_UP_SECONDS
    try:
        while not _try(job_id, backend, key) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
    finally:
        connection.close()


def _try(job_id: int, backend: int, key: tuple[str, str] | None) -> bool:
    """True when the outcome is known and dealt with."""
    try:
        ended = not session.is_server_process(backend)  # asked first: a commit that has ended by now is seen below
        if not Job.objects.filter(pk=job_id).exists():
            return ended
        log.warning("withdrawn: its request was answered 503", extra={"job_id": job_id, "action": "withdraw"})
        return withdraw(job_id, key=key)
    except Error as exc:
        if not_now(exc):
            return False
        raise


def withdraw(job_id: int, *, key: tuple[str, str] | None = None) -> bool:
    """Delete a job that has not started, with its traces; abort one that has."""
    with transaction.atomic():
        if key is not None:
            row = IdempotencyKey.objects.select_for_update().filter(user=key[0], key=key[1]).first()
            if row is not None and json.loads(row.response).get("repeated"):
                return True
            if row is not None:
                row.delete()
        waiting = Job.objects.select_for_update().filter(pk=job_id, status=Status.SCHEDULED.value).first()
        if waiting is not None:
            totals.forget([job_id])
            AuditEntry.objects.filter(job_id=job_id).delete()
            waiting.delete()
            return True
    with suppress(JobNotFound, JobNotAbortable):
        transitions.abort(job_id, reason="its request was answered with an error", by="the platform")
    return True
