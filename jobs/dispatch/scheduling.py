"""From a request to a row.

``schedule`` writes the row; its message follows on commit. A job due later has no message until Beat finds it due.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Unpack, cast

from django.conf import settings
from django.db import transaction

from cnaasjobs.db.clock import DatabaseNow, database_now
from cnaasjobs.db.insert import insert, insert_many
from cnaasjobs.db.rows import like
from cnaasjobs.events import record
from cnaasjobs.secrecy import mask, masker
from jobs.actions import JobAction
from jobs.broker import publisher
from jobs.dispatch import approval, behind, sending
from jobs.dispatch.starter import add_to_trail, job_here, started_here
from jobs.errors import JobArgumentError, ResultNotStorable
from jobs.models import Job, JobMilestone
from jobs.outcome import NextJob, storable_json
from jobs.schedulable import Ending, Schedulable, ScheduleOptions, checked_priority, checked_task, known
from jobs.states import Milestone


def schedule(task: Schedulable, kwargs: Mapping[str, Any], **options: Unpack[ScheduleOptions]) -> Job:
    """Schedule one job: now, or ``at`` a time.

    It is accepted when the surrounding transaction commits, and then ends in FINISHED or EXCEPTION.

    Raises:
        JobArgumentError: the arguments do not fit the function, or cannot be stored.
    """
    return _insert(task, [kwargs], known(options))[0]


def schedule_many(
    task: Schedulable, many: Iterable[Mapping[str, Any]], **options: Unpack[ScheduleOptions]
) -> list[Job]:
    """Schedule one job for each mapping of arguments, in the order given: all or none."""
    return _insert(task, many, known(options))


def schedule_next(next_job: NextJob, *, author_id: int | None = None, ending: Ending | None = None) -> Job:
    """Schedule the successor of a finishing job, in the transaction of the finish.

    Args:
        author_id: the author of the finishing job, for a successor that names none.
    """
    options: ScheduleOptions = {"author_id": author_id, **next_job.options}
    return _insert(next_job.task, [next_job.kwargs], known(options), ending)[0]


def _insert(
    task: Schedulable, many: Iterable[Mapping[str, Any]], options: ScheduleOptions, ending: Ending | None = None
) -> list[Job]:
    at, now = _later(options.get("at")), cast("datetime", DatabaseNow())
    starter, earlier = started_here(), job_here() if ending is None else ending.job_id
    alike = _row(checked_task(task), options, at=at, now=now, starter=starter)
    rows, aside = _rows(task, many, alike, ending)
    # A single INSERT is its own transaction: BEGIN and COMMIT, or a savepoint, would be two more round trips.
    is_lone = len(rows) == 1 and not at and not aside and starter is None and earlier is None
    with contextlib.nullcontext() if is_lone else transaction.atomic():
        if len(rows) == 1:
            insert(rows[0])
        else:
            insert_many(rows)
        if starter is not None:
            add_to_trail(rows, starter)
        if earlier is not None:
            behind.inherit(rows, of_id=earlier)
        if at or aside:  # else the row itself says when it was posted
            insert_many([JobMilestone(job_id=row.pk, milestone=Milestone.POSTED.value, time=now) for row in rows])
        if at:
            sending.announce()
        if aside:
            approval.ask(rows, aside)
        messages = [] if at else [sending.message_of(row) for row in rows if not row.unapproved]
        transaction.on_commit(lambda: _accepted(rows, messages, aside), robust=True)
    for row in rows:
        for name in ("scheduled_time", "dispatched_at"):
            if not isinstance(getattr(row, name), datetime | None):
                delattr(row, name)  # the database's clock filled it: read on first use
    return rows


def _later(at: datetime | None) -> datetime | None:
    """The time, aware (a naive one is UTC); None if it is not in the future by the database's clock."""
    if at is None:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at > database_now() else None


def _row(
    task: Schedulable, options: ScheduleOptions, *, at: datetime | None, now: datetime, starter: str | None
) -> Job:
    """A job's row but for its arguments; many jobs that are scheduled together have all of this in common."""
    return Job(
        scheduled_time=at or now,
        dispatched_at=None if at else now,
        task_name=task.name,
        scheduled_by=_text(options.get("scheduled_by") or starter, "scheduled_by"),
        comment=_free_text(options.get("comment"), "comment"),
        ticket_ref=_free_text(options.get("ticket_ref"), "ticket_ref"),
        author_id=options.get("author_id"),
        queue=options.get("queue") or task.job_queue or settings.CELERY_TASK_DEFAULT_QUEUE,
        priority=_priority(options.get("priority"), task),
        lock_name=task.lock,
        lock_wait_seconds=task.lock_wait if task.lock else None,
        rerun_if_lost=task.rerun_if_lost,
    )


def _rows(
    task: Schedulable, many: Iterable[Mapping[str, Any]], alike: Job, ending: Ending | None
) -> tuple[list[Job], dict[int, str]]:
    """A row for each mapping of arguments; and, by their place among them, why some need approval."""
    hidden = masker()
    rows: list[Job] = []
    aside: dict[int, str] = {}
    for kwargs in many:
        bound = task.bound(kwargs)
        arguments = _stored(bound, task.name, hidden)
        row = like(alike, function_name=task.function_name_of(bound), start_arguments=arguments)
        if why := approval.why_needed(task, bound, ending):
            aside[len(rows)] = why
            approval.put_aside(row)
        rows.append(row)
    return rows, aside


def _accepted(rows: Sequence[Job], messages: Sequence[publisher.Message], aside: Mapping[int, str]) -> None:
    """They are committed: send their messages, and log them while the broker confirms."""
    tell = cache(partial(_tell, rows, aside))  # once
    sending.send(messages, meanwhile=tell)
    tell()


def _tell(rows: Sequence[Job], aside: Mapping[int, str]) -> None:
    for place, row in enumerate(rows):
        record(JobAction.SCHEDULE, {"from": None, "to": row.status}, job_id=row.pk, task=row.task_name)
        if place in aside:
            record(JobAction.AWAIT_APPROVAL, job_id=row.pk, reason=aside[place])


def _stored(bound: Mapping[str, Any], task_name: str, hidden: Callable[[str], str]) -> str:
    try:
        return storable_json(bound, what=f"arguments of {task_name}", mask=hidden)
    except ResultNotStorable as exc:
        raise JobArgumentError(str(exc)) from exc


def _priority(given: int | None, task: Schedulable) -> int:
    try:
        return task.job_priority if given is None else checked_priority(given)
    except ValueError as exc:
        raise JobArgumentError(str(exc)) from exc


def _free_text(value: str | None, field: str) -> str | None:
    """What a person typed, without secrets. The names put in their place may be longer, so the text is cut again."""
    checked = _text(value, field)
    return mask(checked)[: _longest(field)] if checked else checked


def _text(value: str | None, field: str) -> str | None:
    if value is None:
        return None
    limit = _longest(field)
    if limit is not None and len(value) > limit:
        raise JobArgumentError(f"{field} is longer than {limit} characters")
    if "\x00" in value:
        raise JobArgumentError(f"{field} contains a NUL character")
    return value


def _longest(field: str) -> int | None:
    return getattr(Job._meta.get_field(field), "max_length", None)
