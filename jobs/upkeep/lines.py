"""Keeps the lines for locks moving: frees locks of jobs that ended, wakes a first in line, ends who waited too long."""

import logging
from datetime import timedelta

from django.db.models import DurationField, Exists, ExpressionWrapper, IntegerField, OuterRef, QuerySet, Value
from django.db.models.functions import Cast, Coalesce

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import DatabaseNow
from jobs.dispatch import line
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.states import Status
from locks import service as locks
from locks.models import Lock

log = logging.getLogger(__name__)

_BATCH = 500


def free_abandoned() -> int:
    """Release locks whose holder no longer runs under their token. Returns how many."""
    held = list(locks.held())
    holders = [lock.holder_id for lock in held if lock.holder_id is not None]
    running = Job.objects.filter(pk__in=holders, status=Status.RUNNING.value)
    rightful = set(running.values_list("pk", "fence"))
    freed = 0
    for lock in held:
        if lock.holder_id is None or (lock.holder_id, lock.fence) in rightful:
            continue
        # By name, holder and token: one that was taken anew since it was read stays.
        if locks.release(lock.name, holder_id=lock.holder_id, fence=lock.fence):
            freed += 1
            fields = {"action": "release", "lock": lock.name, "job_id": lock.holder_id}
            log.warning("lock %s freed: job %s no longer runs", lock.name, lock.holder_id, extra=fields)
            line.wake(lock.name)
    return freed


def wake_first() -> int:
    """Wake the first in line of each free lock. Returns how many."""
    parked = _in_line().filter(lock_name=OuterRef("name"))
    free = Lock.objects.filter(Exists(parked), holder_id__isnull=True).values_list("name", flat=True)
    return sum(line.wake(name) for name in free[:_BATCH])


def end_overdue() -> int:
    """End jobs that waited for their lock longer than they may. Returns how many."""
    holders = {lock.name: lock.holder_id for lock in locks.held()}
    ended = 0
    for job in _overdue()[:_BATCH]:
        holder = holders.get(job.lock_name or "")
        waited_for = f"job {holder}, which holds it" if holder else "the jobs before it in line"
        seconds = conf.lock_wait_seconds if job.lock_wait_seconds is None else job.lock_wait_seconds
        message = f"waited {seconds} s for lock {job.lock_name}: for {waited_for}"
        ended += transitions.cancel(job.pk, Failure(type=EndReason.LOCK_WAIT_TIMEOUT, message=message))
    return ended


def _overdue() -> QuerySet[Job]:
    allowed = Cast(Coalesce("lock_wait_seconds", Value(conf.lock_wait_seconds)), IntegerField())
    patience = ExpressionWrapper(allowed * Value(timedelta(seconds=1)), output_field=DurationField())
    waiting = _in_line().filter(lock_name__in=Lock.objects.values("name"), waiting_since__isnull=False)
    return waiting.filter(waiting_since__lt=DatabaseNow() - patience).order_by("scheduled_time", "id")


def _in_line() -> QuerySet[Job]:
    """Jobs that wait for a lock. That they are due says where in the index they are, before all those that are not."""
    return Job.objects.filter(status=Status.SCHEDULED.value, parked=True, scheduled_time__lte=DatabaseNow())
