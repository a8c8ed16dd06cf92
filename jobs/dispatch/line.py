"""The line for a lock: who is next, who is ahead of whom, and waking the first."""

from dataclasses import replace

from django.db.models import QuerySet

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.broker import publisher
from jobs.dispatch import sending
from jobs.models import Job
from jobs.schedulable import HIGHEST_PRIORITY
from jobs.sql import store
from jobs.states import Status
from jobs.waiting_rows import in_line


def of(lock_name: str) -> QuerySet[Job]:
    """The jobs in line for a lock, first come first served: by the time they fell due, then id."""
    waiting = Job.objects.filter(in_line(), status=Status.SCHEDULED.value, lock_name=lock_name)
    return waiting.order_by("scheduled_time", "id")


def names() -> list[str]:
    """The locks that jobs are in line for. It reads one row of the index for each, however long the line is."""
    waiting = Job.objects.filter(status=Status.SCHEDULED.value, lock_name__isnull=False)
    found: list[str] = []
    name: str | None = ""
    while name is not None:
        name = waiting.filter(lock_name__gt=name).order_by("lock_name").values_list("lock_name", flat=True).first()
        if name is not None and of(name).values_list("pk").first() is not None:  # in its index's order
            found.append(name)
    return found


def wake(lock_name: str) -> bool:
    """Send the first job in line for a free lock on its way, if it was parked.

    The claim decides: a race does no harm. Its first message has had its turn in the queue, so this one goes before
    messages of the same priority: behind them, a line would wait for the whole queue again for each of its jobs.
    """
    woken = store().wake_first(lock_name)
    if woken is None:
        return False
    message = publisher.Message(*woken)
    message = replace(message, priority=min(message.priority + 1, HIGHEST_PRIORITY))
    waiting = Status.SCHEDULED.value
    record(JobAction.WAKE, {"from": waiting, "to": waiting}, job_id=message.job_id, lock=lock_name)
    sending.send([message])
    return True
