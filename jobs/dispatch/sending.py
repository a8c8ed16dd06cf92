"""From a row to a message: jobs that are due, jobs whose message was lost, and telling Beat about jobs due later."""

from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.models import QuerySet

from cnaasjobs.db import channel
from cnaasjobs.db.built import Built
from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.db.rows import free_rows
from jobs.broker import publisher
from jobs.models import Job
from jobs.sql import store
from jobs.states import Status
from jobs.waiting_rows import UNSENT

DUE_CHANNEL = "cnaasjobs_due"  # a job due later was committed


def announce() -> None:
    """Tell every Beat, on commit, that a job due later was written. Only for such jobs: NOTIFY serialises commits."""
    channel.announce(DUE_CHANNEL)


def due() -> QuerySet[Job]:
    """Jobs that wait for Beat to send their message, the earliest first, due or not."""
    return Job.objects.filter(UNSENT, status=Status.SCHEDULED.value).order_by("scheduled_time", "id")


def seconds_to_next_due() -> float | None:
    """How long until the next job is due, by the database's clock: 0 or less if one is due now, None if none waits."""
    found = _next_due.rows()
    return (found[0][0] - found[0][1]).total_seconds() if found else None


_next_due = Built(lambda _: due().annotate(now=DatabaseNow()).values_list("scheduled_time", "now")[:1])


def dispatch_due(limit: int = 500) -> int:
    """Send the messages of at most ``limit`` due jobs, the earliest first. Returns how many the broker took.

    One statement takes them, so that a job starts soon after its time; rows that another Beat has taken are left to it.
    """
    return send([publisher.Message(*job) for job in store().take_due(limit)])


def redispatch(job_ids: Sequence[int]) -> int:
    """Send the lost messages of waiting jobs again. A duplicate does no harm. Returns how many the broker took."""
    with transaction.atomic():
        waiting = Job.objects.filter(
            pk__in=job_ids, status=Status.SCHEDULED.value, parked=False, dispatched_at__isnull=False
        )
        rows = [message_of(row) for row in free_rows(waiting.order_by("dispatched_at", "id"))]
        Job.objects.filter(pk__in=[row.job_id for row in rows]).update(dispatched_at=DatabaseNow())
    return send(rows)


def send(messages: Sequence[publisher.Message], *, meanwhile: Callable[[], object] = lambda: None) -> int:
    """Send them, and leave to Beat what the broker does not take. Returns how many it took."""
    unsent = publisher.publish(messages, meanwhile=meanwhile)
    if unsent:
        still_waiting = Job.objects.filter(pk__in=unsent, status=Status.SCHEDULED.value)
        still_waiting.update(dispatched_at=None)
    return len(messages) - len(unsent)


def message_of(row: Job) -> publisher.Message:
    return publisher.Message(job_id=row.pk, task_name=row.task_name, queue=row.queue, priority=row.priority)
