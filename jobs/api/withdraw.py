"""Takes back a job whose request was answered 503 because the commit's answer never came.

A server that froze or was cut off inside COMMIT may or may not have committed, and the client must get an answer within
2 s. It gets a 503, which says that the outcome is not known. As soon as the server can be asked, a job that is still
waiting is taken back together with its Idempotency-Key, as if nothing had happened. A job that has started by then
stays and keeps its key, so that the repeated request is answered with it. Without a key nobody could be told of the
job, so it is asked to stop.
"""

import json
import threading
import time
from enum import StrEnum
from typing import cast

from django.db import Error, connection, transaction

from cnaasjobs.db import session
from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.errors import JobNotAbortable, JobNotFound
from jobs.lifecycle import transitions
from jobs.models import AuditEntry, IdempotencyKey, Job
from jobs.sql import totals
from jobs.states import Status

PAUSE_SECONDS = 0.1
GIVE_UP_SECONDS = 3600.0


class Withdrawal(StrEnum):
    """What became of the job."""

    WITHDRAWN = "withdrawn, as if its request had never come"
    TOLD = "stays: its request was repeated and answered with it"
    STARTED = "stays: it had started, and a repetition of its request gets it"
    STOPPED = "had started, and nobody can be told of it: asked to stop"
    ENDED = "has ended, and nobody can be told of it"
    NOTHING = "was never stored"


def withdraw_later(entry: AuditEntry, *, backend: int, key: tuple[str, str] | None) -> None:
    """Return at once; a thread withdraws the job as soon as the outcome of its commit is known.

    Args:
        entry: the audit entry of the job's scheduling. It identifies the job, as its number alone does not: a server
            that crashed may give out again the numbers that it gave out just before.
        backend: the process of the database server that received the commit.
        key: the user and the Idempotency-Key, if the request had one.
    """
    record(JobAction.COMMIT_LOST, job_id=entry.job_id)
    name = f"withdraw-{entry.job_id}"
    threading.Thread(target=_withdraw, args=(entry, backend, key), name=name, daemon=True).start()


def _withdraw(entry: AuditEntry, backend: int, key: tuple[str, str] | None) -> None:
    job_id = entry.job_id
    deadline = time.monotonic() + GIVE_UP_SECONDS
    try:
        while time.monotonic() < deadline:
            if (done := _try(entry, backend, key)) is not None:
                record(JobAction.WITHDRAW, job_id=job_id, outcome=done.name, reason=done.value)
                return
            time.sleep(PAUSE_SECONDS)
        record(JobAction.WITHDRAW_FAILED, job_id=job_id)
    finally:
        connection.close()


def _try(entry: AuditEntry, backend: int, key: tuple[str, str] | None) -> Withdrawal | None:
    """None while the outcome is not known."""
    try:
        ended = not session.is_server_process(backend)  # asked first, so that whatever it committed is seen below
        is_stored = AuditEntry.objects.filter(pk=entry.pk, time=entry.time, job_id=entry.job_id).exists()
        done = withdraw(cast("int", entry.job_id), key=key) if is_stored else Withdrawal.NOTHING
    except Error as exc:
        connection.close()
        if not_now(exc):
            return None
        raise
    return done if ended or done is not Withdrawal.NOTHING else None


def withdraw(job_id: int, *, key: tuple[str, str] | None = None) -> Withdrawal:
    """Delete a job that has not started, with its key. The audit trail keeps its entries, and this is added."""
    with transaction.atomic():
        # The key's row before the job's, as in the original request: a repetition of that request waits here.
        row = None
        if key is not None:
            row = IdempotencyKey.objects.select_for_update().filter(user=key[0], key=key[1]).first()
        job = Job.objects.select_for_update().filter(pk=job_id).first()
        if job is None:
            return Withdrawal.NOTHING
        if row and json.loads(row.response).get("repeated"):
            return Withdrawal.TOLD
        if job.status == Status.SCHEDULED and not job.attempt:  # one that waits for another attempt has run
            if row:
                row.delete()
            totals.forget([job_id])
            trail.add(Deed.WITHDRAWN, who="the platform", origin="web", job_id=job_id)
            job.delete()
            return Withdrawal.WITHDRAWN
        if row:
            return Withdrawal.STARTED
    try:
        transitions.abort(job_id, reason="its request was answered with an error", by="the platform")
    except (JobNotFound, JobNotAbortable):
        return Withdrawal.ENDED
    return Withdrawal.STOPPED
