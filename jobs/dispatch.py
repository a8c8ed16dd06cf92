"""From a request to a row, and from a row to a message.

``schedule`` writes the row; its message follows on commit. A job due later has no message until Beat finds it due.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, cast

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from jobs import publisher
from jobs.clock import DatabaseNow, database_now, now_sql
from jobs.errors import JobArgumentError, ResultNotStorable
from jobs.insert import insert, insert_many
from jobs.models import Job
from jobs.outcome import NextJob, Schedulable, storable_json
from jobs.states import Status

log = logging.getLogger(__name__)

DUE_CHANNEL = "cnaasjobs_due"  # NOTIFY: a job due later was committed


def schedule(
    task: Schedulable,
    kwargs: Mapping[str, Any],
    *,
    at: datetime | None = None,
    scheduled_by: str | None = None,
    comment: str | None = None,
    ticket_ref: str | None = None,
    queue: str | None = None,
    priority: int | None = None,
) -> Job:
    """Schedule one job: now, or ``at`` a time (aware, or naive UTC; in the past = now).

    It is accepted when the surrounding transaction commits, and then ends in FINISHED or EXCEPTION.

    Raises:
        JobArgumentError: the arguments do not fit the function, or cannot be stored.
    """
    return _insert(
        task,
        [kwargs],
        at=at,
        scheduled_by=scheduled_by,
        comment=comment,
        ticket_ref=ticket_ref,
        queue=queue,
        priority=priority,
    )[0]


def schedule_many(task: Schedulable, many: Iterable[Mapping[str, Any]], **options: Any) -> list[Job]:
    """Schedule one job for each mapping of arguments, in their order: all or none. Options as of ``schedule``."""
    return _insert(task, many, **options)


def schedule_next(next_job: NextJob, *, after: int) -> Job:
    """Schedule a finishing job's successor, in the transaction of the finish."""
    return schedule(
        next_job.task,
        next_job.kwargs,
        scheduled_by=next_job.scheduled_by,
        comment=next_job.comment,
        ticket_ref=next_job.ticket_ref,
    )


def _insert(
    task: Schedulable,
    many: Iterable[Mapping[str, Any]],
    *,
    at: datetime | None = None,
    scheduled_by: str | None = None,
    comment: str | None = None,
    ticket_ref: str | None = None,
    queue: str | None = None,
    priority: int | None = None,
) -> list[Job]:
    if at is not None:
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        at = at if at > database_now() else None  # the database decides what is due, not this machine
    now = cast("datetime", DatabaseNow())
    same = {
        "status": Status.SCHEDULED.value,
        "scheduled_time": at or now,
        "dispatched_at": None if at else now,
        "task_name": task.name,
        "scheduled_by": _text(scheduled_by, "scheduled_by"),
        "comment": _text(comment, "comment"),
        "ticket_ref": _text(ticket_ref, "ticket_ref"),
        "queue": queue or task.job_queue or settings.CELERY_TASK_DEFAULT_QUEUE,
        "priority": task.job_priority if priority is None else priority,
        "lock_name": task.lock,
        "lock_wait_seconds": task.lock_wait if task.lock else None,
        "rerun_if_lost": task.rerun_if_lost,
    }
    rows = []
    for kwargs in many:
        bound = task.bound(kwargs)
        rows.append(Job(**same, function_name=task.shown_name(bound), start_arguments=_stored(bound, task.name)))
    # A lone INSERT is its own transaction: BEGIN and COMMIT, or a savepoint, would be two more round trips.
    with contextlib.nullcontext() if len(rows) == 1 and not at else transaction.atomic():
        if len(rows) == 1:
            insert(rows[0])
        else:
            insert_many(rows)
        if at:
            announce()
        messages = [] if at else [_message(row) for row in rows]
        transaction.on_commit(lambda: _accepted(rows, messages), robust=True)
    for row in rows:
        for name in ("scheduled_time", "dispatched_at"):
            if not isinstance(getattr(row, name), datetime | None):
                delattr(row, name)  # the database's clock filled it: read on first use
    return rows


def _accepted(rows: Sequence[Job], messages: Sequence[publisher.Message]) -> None:
    """They are committed: send their messages, and say so in the log while the broker confirms."""
    tell = cache(partial(_tell, rows))  # once
    _send(messages, meanwhile=tell)
    tell()


def _tell(rows: Sequence[Job]) -> None:
    for row in rows:
        fields = {"job_id": row.pk, "action": "schedule", "from": None, "to": row.status, "task": row.task_name}
        log.info("job %s: schedule", row.pk, extra=fields)


def _stored(bound: Mapping[str, Any], task_name: str) -> str:
    try:
        return storable_json(bound, what=f"arguments of {task_name}")
    except ResultNotStorable as exc:
        raise JobArgumentError(str(exc)) from exc


def _text(value: str | None, field: str) -> str | None:
    if value is None:
        return None
    limit = getattr(Job._meta.get_field(field), "max_length", None)
    if limit is not None and len(value) > limit:
        raise JobArgumentError(f"{field} is longer than {limit} characters")
    if "\x00" in value:
        raise JobArgumentError(f"{field} holds a NUL character")
    return value


def announce() -> None:
    """Tell every Beat, on commit, that a job due later was written. Only for those: NOTIFY serialises commits."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {DUE_CHANNEL}")


def due() -> QuerySet[Job]:
    """Jobs that wait for Beat to send their message, the earliest first, due or not."""
    return Job.objects.filter(status=Status.SCHEDULED.value, dispatched_at__isnull=True, parked=False).order_by(
        "scheduled_time", "id"
    )


def seconds_to_next_due() -> float | None:
    """By the database's clock; zero or less if one is due, None if none waits."""
    found = due().annotate(now=DatabaseNow()).values_list("scheduled_time", "now").first()
    return None if found is None else (found[0] - found[1]).total_seconds()


def dispatch_due(limit: int = 500) -> int:
    """Send the messages of at most ``limit`` due jobs, the earliest first. Returns how many the broker took.

    One statement takes them, so that a job starts soon after its time; what another Beat has in hand is left to it.
    """
    now, now_params = now_sql()
    skip_locked = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    found = (
        f"SELECT id FROM jobs_job WHERE status = 'SCHEDULED' AND dispatched_at IS NULL AND NOT parked"
        f" AND scheduled_time <= {now} ORDER BY scheduled_time, id LIMIT %s {skip_locked}"
    )
    # As an array PostgreSQL evaluates it once; as a subquery it may do so again for each row, and take more.
    chosen = f"= ANY(ARRAY({found}))" if connection.vendor == "postgresql" else f"IN ({found})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE jobs_job SET dispatched_at = {now} WHERE id {chosen}"
            " RETURNING scheduled_time, id, task_name, queue, priority",
            [*now_params, *now_params, limit],
        )
        rows = sorted(cursor.fetchall())
    return _send([publisher.Message(*row[1:]) for row in rows])


def redispatch(job_ids: Sequence[int]) -> int:
    """Send the messages of waiting jobs again: theirs were lost. A duplicate does no harm. Returns how many it took."""
    with transaction.atomic():
        waiting = Job.objects.filter(
            pk__in=job_ids, status=Status.SCHEDULED.value, parked=False, dispatched_at__isnull=False
        )
        skip_locked = connection.features.has_select_for_update_skip_locked
        rows = [
            _message(row) for row in waiting.order_by("dispatched_at", "id").select_for_update(skip_locked=skip_locked)
        ]
        Job.objects.filter(pk__in=[row.job_id for row in rows]).update(dispatched_at=DatabaseNow())
    return _send(rows)


def _send(messages: Sequence[publisher.Message], *, meanwhile: Callable[[], object] = lambda: None) -> int:
    unsent = publisher.publish(messages, meanwhile=meanwhile)
    if unsent:
        still_waiting = Job.objects.filter(pk__in=unsent, status=Status.SCHEDULED.value)
        still_waiting.update(dispatched_at=None)
    return len(messages) - len(unsent)


def _message(row: Job) -> publisher.Message:
    return publisher.Message(job_id=row.pk, task_name=row.task_name, queue=row.queue, priority=row.priority)


def line(lock_name: str) -> QuerySet[Job]:
    """The jobs in line for a lock, first come first served: by the time they fell due, then id."""
    waiting = Job.objects.filter(status=Status.SCHEDULED.value, lock_name=lock_name, scheduled_time__lte=DatabaseNow())
    return waiting.order_by("scheduled_time", "id")


def ahead_of(job: Job) -> Q:
    """Those before ``job`` in its line."""
    return Q(scheduled_time__lt=job.scheduled_time) | Q(scheduled_time=job.scheduled_time, id__lt=job.pk)


def wake(lock_name: str) -> bool:
    """Send the first in line for a free lock on its way, if it was parked. The claim decides: a race does no harm."""
    now, now_params = now_sql()
    waiting = Status.SCHEDULED.value
    with connection.cursor() as cursor:  # by hand: every end of a job with a lock comes here
        cursor.execute(
            f"UPDATE jobs_job SET parked = FALSE, dispatched_at = {now} WHERE parked AND status = %s AND id = ("
            f"SELECT id FROM jobs_job WHERE status = %s AND lock_name = %s AND scheduled_time <= {now}"
            " ORDER BY scheduled_time, id LIMIT 1) RETURNING id, task_name, queue, priority",
            [*now_params, waiting, waiting, lock_name, *now_params],
        )
        woken = cursor.fetchone()
    if woken is None:
        return False
    message = publisher.Message(*woken)
    fields = {"job_id": message.job_id, "action": "wake", "from": waiting, "to": waiting, "lock": lock_name}
    log.info("job %s: wake", message.job_id, extra=fields)
    _send([message])
    return True
