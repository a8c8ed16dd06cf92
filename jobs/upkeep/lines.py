"""Keeps the lines for locks moving: frees locks of ended jobs, wakes the first in line, ends what waited too long."""

from datetime import timedelta

from django.db.models import DurationField, Exists, ExpressionWrapper, IntegerField, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Coalesce

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.background.one_by_one import OneByOne
from jobs.dispatch import line
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.states import Status
from jobs.waiting_rows import in_line
from locks import service as locks
from locks.models import Lock

_BATCH = 500


def free_abandoned() -> int:
    """Release locks whose holder no longer runs under their token. Returns how many."""
    return _free(list(abandoned()))


def abandoned() -> QuerySet[Lock]:
    rightful = Job.objects.filter(pk=OuterRef("holder_id"), fence=OuterRef("fence"), status=Status.RUNNING.value)
    return locks.held().filter(~Exists(rightful))


def _release(lock: Lock) -> int:
    # By name, holder and token: a lock that was taken again since it was read is left alone.
    if lock.holder_id is None or not locks.release(lock.name, holder_id=lock.holder_id, fence=lock.fence):
        return 0
    record(JobAction.RELEASE, lock=lock.name, job_id=lock.holder_id)
    line.wake(lock.name)
    return 1


_free = OneByOne("freeing an abandoned lock", _release, key=lambda lock: lock.pk)


def wake_first() -> int:
    """Wake the first job in line for each free lock. Returns how many."""
    return _wake(free_with_a_line().values_list("name", flat=True)[:_BATCH])


def free_with_a_line() -> QuerySet[Lock]:
    parked = _in_line().filter(lock_name=OuterRef("name"))
    return Lock.objects.filter(Exists(parked), holder_id__isnull=True)


_wake = OneByOne("waking the first in a lock's line", line.wake, key=str)


def end_overdue() -> int:
    """End jobs that have waited for their lock longer than allowed. Returns how many."""
    holders = {lock.name: lock.holder_id for lock in locks.held()}
    return _cancel((job, holders.get(job.lock_name or "")) for job in overdue()[:_BATCH])


def _end(overdue: tuple[Job, int | None]) -> int:
    job, holder = overdue
    waited_for = f"job {holder}, which holds it" if holder else "the jobs before it in line"
    seconds = conf.lock_wait_seconds if job.lock_wait_seconds is None else job.lock_wait_seconds
    message = f"waited {seconds} s for lock {job.lock_name}: for {waited_for}"
    # It may have been woken since it was read, and may even have run by now and wait for its next attempt.
    still = Q(parked=True, waiting_since=job.waiting_since)
    return transitions.cancel(job.pk, Failure(type=EndReason.LOCK_WAIT_TIMEOUT, message=message), only=still)


_cancel = OneByOne("ending a job that waited too long", _end, key=lambda overdue: overdue[0].pk)


def overdue() -> QuerySet[Job]:
    # By the locks' names: the index of the lines cannot be used otherwise.
    return _overdue().filter(lock_name__in=Lock.objects.values("name")).order_by("scheduled_time", "id")


def with_overdue() -> QuerySet[Lock]:
    """The locks in whose lines there are such jobs: to ask whether there is any, one look into each line.

    Asked for any such job, PostgreSQL would read all jobs once a line had been long, because it expects to find
    one soon.
    """
    return Lock.objects.filter(Exists(_overdue().filter(lock_name=OuterRef("name"))))


def _overdue() -> QuerySet[Job]:
    allowed = Cast(Coalesce("lock_wait_seconds", Value(conf.lock_wait_seconds)), IntegerField())
    patience = ExpressionWrapper(allowed * Value(timedelta(seconds=1)), output_field=DurationField())
    return _in_line().filter(waiting_since__lt=DatabaseNow() - patience)


def _in_line() -> QuerySet[Job]:
    """The parked ones among the jobs in line. Asking for due ones keeps the search to the beginning of the index."""
    return Job.objects.filter(in_line(), status=Status.SCHEDULED.value, parked=True)
