"""The one writer of a job's status: one function per verb of ``jobs.states``, each a guarded statement.

Zero rows is an answer: another process was first, and its decision stands. A job with a lock releases it in the
transaction that ends the job; follow-ups (waking the next in line, publishing) come after the commit and cannot undo
it.
"""

import json
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q

from cnaasjobs.db import clock
from cnaasjobs.db.built import Built
from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.secrecy import mask
from jobs.actions import record_transition
from jobs.dispatch import line, scheduling, sending
from jobs.end_reasons import EndReason, Failure
from jobs.errors import JobAborted, JobNotAbortable, JobNotFound
from jobs.lifecycle import milestones, participants
from jobs.models import Fleet, Job, JobOutcome
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.schedulable import Ending
from jobs.sql import store
from jobs.sql.signature import Claimant
from jobs.states import TRANSITIONS, Milestone, Status, Verb
from locks import service as locks

_BACK_IN_LINE: Final = dict.fromkeys(
    ("dispatched_at", "start_time", "finished_devices", "run_token", "fence", "worker_id", "worker")
)
_ANY: Final = Q()
_COLUMNS: Final = [field.attname for field in Job._meta.concrete_fields]
_ROW: Final = Built(lambda job_id: Job.objects.filter(pk=job_id).values_list(*_COLUMNS))
_OUT_OF_LINE: Final = {"parked": False, "waiting_since": None, "unapproved": None}


class _Undo(Exception):
    """Rolls back a transaction whose guarded statement found that another process was first."""


def claim(
    job_id: int,
    *,
    task_name: str,
    lock_name: str | None,
    run_token: UUID,
    worker_id: int | None = None,
    worker: str = "",
) -> Run | Refused:
    """SCHEDULED → RUNNING, once. If its lock is taken, or it is not yet its turn, the job is parked and the claim
    refused.

    A repeated call with the same token (the first answer was lost with the connection) is granted again.

    Args:
        task_name, lock_name: of the task that would run it. A job of another task is refused. A job that was scheduled
            when its task had another lock, or none, is claimed with the lock in its row.
    """
    by = Claimant(run_token, worker_id, worker)
    answer: Run | Refused | None = store().claim(job_id, task_name, by, lock_name=lock_name)
    if answer is None:
        try:
            with transaction.atomic():
                answer = _claim_or_park(job_id, task_name, by)
        except _Undo:
            return Refused(job_id=job_id, reason="another process was first, or it is not due yet")
    if isinstance(answer, Run):
        _record(Verb.CLAIM, job_id, worker=worker, attempt=answer.attempt)
    return answer


def _claim_or_park(job_id: int, task_name: str, by: Claimant) -> Run | Refused:
    """Find out why the claim was not granted at once, or grant it: the lock may have had no row, or have come free."""
    job = next((Job.from_db(connection.alias, _COLUMNS, row) for row in _ROW.rows(job_id)), None)
    if job is None:
        return Refused(job_id=job_id, reason="no such job")
    if job.run_token == by.run_token:
        return Run.of(job)
    if job.status != TRANSITIONS[Verb.CLAIM][0]:
        return Refused(job_id=job_id, reason=f"it is {job.status}")
    if job.unapproved:
        return Refused(job_id=job_id, reason="it waits for approval")
    if job.task_name != task_name:
        return Refused(job_id=job_id, reason=f"it belongs to task {job.task_name}, not {task_name}")
    # The lock on its row keeps all others from taking or freeing it until this is decided.
    lock = locks.locked_row(job.lock_name) if job.lock_name else None
    if run := store().claim(job_id, task_name, by, lock_name=job.lock_name):
        return run
    if lock is None:
        return Refused(job_id=job_id, reason="it is not due yet")
    return _park(job, holder_id=lock.holder_id)


def _park(job: Job, *, holder_id: int | None) -> Refused:
    lock_name = cast("str", job.lock_name)
    # Not before its time: Beat sends a job when it falls due, but not a parked one.
    parked = Job.objects.filter(pk=job.pk, scheduled_time__lte=DatabaseNow()).transit(
        Verb.PARK, parked=True, dispatched_at=None, waiting_since=job.waiting_since or DatabaseNow()
    )
    if not parked:
        raise _Undo
    waits_for = f"job {holder_id}" if holder_id else "those before it"
    milestones.add(job.pk, Milestone.PARKED, f"lock {lock_name}, for {waits_for}")
    if holder_id is None:  # the first in line may have been parked before the lock came free
        _after_commit_wake(lock_name)
    _record(Verb.PARK, job.pk, lock=lock_name, holder=holder_id)
    return Refused(job_id=job.pk, reason=f"lock {lock_name} is taken; it waits in line for {waits_for}")


def finish(run: Run, outcome: Outcome) -> bool:
    """RUNNING → FINISHED with its result, its lock released, its successor scheduled: one transaction."""
    if outcome.next_job is None:
        done = store().finish(run, outcome, next_job_id=None)
    else:
        with transaction.atomic():
            ending = Ending(run.job_id, outcome.change_score)
            successor = scheduling.schedule_next(outcome.next_job, author_id=run.author_id, ending=ending)
            done = store().finish(run, outcome, next_job_id=successor.pk)
            if not done:
                transaction.set_rollback(True)
    if not done:
        return False
    _after_commit_wake(run.lock_name)
    _record(Verb.FINISH, run.job_id)
    return True


def fail(run: Run, failure: Failure, *, finished_devices: str | None = None, kept: Outcome | None = None) -> bool:
    """RUNNING → EXCEPTION, its lock released, in one transaction. ``kept`` is stored as its result nevertheless."""
    shown = failure.masked(mask)
    with transaction.atomic():
        _release(run.lock_name, run.job_id, run.fence)
        done = Job.objects.filter(pk=run.job_id, run_token=run.run_token).transit(
            Verb.FAIL, **_ended(finished_devices), exception_type=failure.type
        )
        if not done:
            transaction.set_rollback(True)
            return False
        JobOutcome.objects.create(
            job_id=run.job_id,
            exception=shown.as_json(),
            result=None if kept is None else kept.result,
            devices_bytes=None if kept is None else kept.devices_bytes,
        )
        _after_commit_wake(run.lock_name)
    _record(Verb.FAIL, run.job_id, type=shown.type, reason=shown.message)
    return True


def lose(job_id: int, run_token: UUID, *, type: str, message: str) -> bool:
    """End a run that cannot report its own end: its worker is gone, or it was cut off.

    RUNNING → EXCEPTION; a job declared ``rerun_if_lost`` goes back to SCHEDULED after a reason that ``reruns``.
    """
    left = participants.lose(job_id, run_token, Failure(type=type, message=message))
    if left.goes_on:
        return True
    job = Job.objects.filter(pk=job_id, run_token=left.run_token).first()
    if job is None:
        return False
    reason = EndReason.of(left.failure.type)
    if job.rerun_if_lost and reason is not None and reason.reruns and _rerun(job, message):
        return True
    return end_lost(job, left.failure)


def end_lost(job: Job, failure: Failure) -> bool:
    """RUNNING → EXCEPTION of a run in which nobody takes part any more. What is known of its devices outlives it."""
    finished, kept = job.finished_devices, None
    goes_through_devices = Fleet.objects.filter(pk=job.pk, attempt=job.attempt).exists()
    if goes_through_devices and (tally := store().tally(job.pk)) is not None:
        finished = json.dumps(store().finished_hosts(job.pk), ensure_ascii=False)
        kept = Outcome(result=None, devices_bytes=tally.size)
    with transaction.atomic():
        done = fail(Run.of(job), failure, finished_devices=finished, kept=kept)
        if done:
            milestones.add(job.pk, Milestone.LOST, mask(failure.message))
    return done


def retry(run: Run, *, due: datetime | float, reason: str) -> bool:
    """RUNNING → SCHEDULED for another attempt at ``due`` (a time, or seconds from now), at the request of the body.

    A job that was asked to stop ends as aborted instead: after an accepted abort there is no way back to SCHEDULED.
    """
    when = due if isinstance(due, datetime) else clock.database_now() + timedelta(seconds=due)
    with transaction.atomic():
        _release(run.lock_name, run.job_id, run.fence)
        milestones.attempt_over(run.job_id, Milestone.RETRIED, mask(reason))
        done = Job.objects.filter(pk=run.job_id, run_token=run.run_token, abort_reason__isnull=True).transit(
            Verb.RETRY, **_BACK_IN_LINE, scheduled_time=when, retries=F("retries") + 1
        )
        if done:
            sending.announce()
            _after_commit_wake(run.lock_name)
        else:
            transaction.set_rollback(True)
    if done:
        _record(Verb.RETRY, run.job_id, due=when.isoformat(), reason=reason)
        return True
    abort_reason = Job.objects.filter(pk=run.job_id, run_token=run.run_token).values_list("abort_reason", flat=True)
    if why := abort_reason.first():
        return fail(run, Failure.of(JobAborted(why)))
    return False


def _rerun(job: Job, why: str) -> bool:
    with transaction.atomic():
        _release(job.lock_name, job.pk, job.fence)
        milestones.attempt_over(job.pk, Milestone.LOST, mask(why))
        done = Job.objects.filter(pk=job.pk, run_token=job.run_token, abort_reason__isnull=True).transit(
            Verb.RERUN, **_BACK_IN_LINE, scheduled_time=DatabaseNow()
        )
        if not done:
            transaction.set_rollback(True)
            return False
        milestones.add(job.pk, Milestone.RERUN)
        sending.announce()
        _after_commit_wake(job.lock_name)
    _record(Verb.RERUN, job.pk, worker=job.worker)
    return True


def cancel(job_id: int, failure: Failure, *, only: Q = _ANY, by: str = "", comment: str = "") -> bool:
    """SCHEDULED → EXCEPTION: it ends before it started.

    Args:
        only: a condition on its row: what the caller saw there, and decided by. If it no longer holds, the job is left
            alone.
        by, comment: who rejected it, and why, if it waited for approval.
    """
    with transaction.atomic():
        waiting = Job.objects.filter(only, pk=job_id)
        lock_name, unapproved = waiting.values_list("lock_name", "unapproved").first() or (None, None)
        if not waiting.transit(Verb.CANCEL, **_ended(None), **_OUT_OF_LINE, exception_type=failure.type):
            return False
        if unapproved:
            milestones.decided(job_id, failure.type, by=by, comment=comment)
        JobOutcome.objects.create(job_id=job_id, exception=failure.masked(mask).as_json())
        _after_commit_wake(lock_name)  # it may have been the first in line, with others behind it
    _record(Verb.CANCEL, job_id, type=failure.type, reason=failure.message)
    return True


def abort(job_id: int, *, reason: str, by: str) -> Job:
    """A SCHEDULED job ends at once; a RUNNING one is told to stop at its next safe point. The first reason stays.

    Raises:
        JobNotFound, JobNotAbortable: nothing was changed.
    """
    text = mask(f"{reason} (aborted by {by})" if reason else f"(aborted by {by})")
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(pk=job_id).first()
        if job is None:
            raise JobNotFound(job_id)
        if job.status == Status.SCHEDULED:
            cancel(job_id, Failure.of(JobAborted(text)))
        elif job.status == Status.RUNNING:
            if Job.objects.filter(pk=job_id, abort_reason__isnull=True).transit(Verb.REQUEST_ABORT, abort_reason=text):
                milestones.add(job_id, Milestone.ASKED_TO_STOP, text)
                _record(Verb.REQUEST_ABORT, job_id, reason=text)
        else:
            raise JobNotAbortable(job_id, job.status)
    job.refresh_from_db()
    return job


def _ended(finished_devices: str | None) -> dict[str, Any]:
    fields = {"finish_time": DatabaseNow(), "run_token": None, "fence": None}
    return fields if finished_devices is None else {**fields, "finished_devices": finished_devices}


def _release(lock_name: str | None, job_id: int, fence: int | None) -> None:
    if lock_name is not None and fence is not None:
        locks.release(lock_name, holder_id=job_id, fence=fence)


def _after_commit_wake(lock_name: str | None) -> None:
    if lock_name is not None:
        transaction.on_commit(lambda: line.wake(lock_name), robust=True)


def _record(verb: Verb, job_id: int, **more: Any) -> None:
    if connection.in_atomic_block:
        transaction.on_commit(lambda: record_transition(verb, job_id, **more), robust=True)
    else:
        record_transition(verb, job_id, **more)
