"""One fire of a recurring schedule. The Beat that moves its ``last_run_at`` is the one that fires it.

The job is inserted in the same transaction. If no row was moved, another Beat fired it, or a person edited the schedule
meanwhile.
"""

import json
from datetime import datetime
from enum import Enum
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import F, QuerySet
from django_celery_beat.models import PeriodicTask

from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.audit import trail
from jobs.beat.ownership import owner_of
from jobs.beat.plain import PlainSender
from jobs.broker import plain_tasks
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.errors import JobArgumentError
from jobs.schedulable import HIGHEST_PRIORITY
from jobs.task import JobTask


class Fired(Enum):
    """What became of a due schedule."""

    HERE = "here"
    ELSEWHERE = "elsewhere"
    BROKEN = "broken"  # its turn is used up; by the next time somebody may have corrected it


def fire(row: PeriodicTask, now: datetime, plain: PlainSender) -> Fired:
    """Fire a schedule that is due at ``now``, the database's time."""
    last = one_off(row)
    with transaction.atomic():
        if not _unmoved(row).update(last_run_at=now, **({"enabled": False} if last else {})):
            return Fired.ELSEWHERE
        try:
            with transaction.atomic():
                args, kwargs = arguments_of(row)
                task = current_app.tasks.get(row.task)
                if isinstance(task, JobTask):
                    _schedule_job(row, task, args, kwargs)
                else:
                    _require_plain(row)
                    transaction.on_commit(lambda: plain.send(row, args, kwargs, fired_at=now, last=last), robust=True)
                PeriodicTask.objects.filter(pk=row.pk).update(total_run_count=F("total_run_count") + 1)
        except JobArgumentError as exc:
            record(JobAction.FIRE_REFUSED, schedule=row.name, task=row.task, error=str(exc))
            return Fired.BROKEN
        except Exception as exc:
            if not_now(exc):
                raise  # nothing was consumed
            record(JobAction.FIRE_FAILED, exc=exc, schedule=row.name, task=row.task)
            return Fired.BROKEN
    record(JobAction.FIRE, schedule=row.name, task=row.task)
    return Fired.HERE


def one_off(row: PeriodicTask) -> bool:
    return bool(row.one_off or row.clocked_id is not None)


def arguments_of(row: PeriodicTask) -> tuple[list[Any], dict[str, Any]]:
    """The row's arguments, parsed.

    Raises:
        JobArgumentError: they are not a JSON list and a JSON object.
    """
    try:
        args, kwargs = json.loads(row.args or "[]"), json.loads(row.kwargs or "{}")
    except (ValueError, RecursionError) as exc:
        raise JobArgumentError(f"they are not JSON: {exc}") from exc
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise JobArgumentError("they must be a JSON list and a JSON object")
    return args, kwargs


def _require_plain(row: PeriodicTask) -> None:
    """It is not a job, so it must be a task that workers may call, without options for its message.

    Raises:
        JobArgumentError: it is not.
    """
    if not plain_tasks.is_allowed(row.task):
        raise JobArgumentError(f"{row.task} is not a job, and CNAASJOBS_PLAIN_TASKS does not name it")
    for name in plain_tasks.REFUSED_OPTIONS:
        if getattr(row, name) not in (None, "", "{}"):
            raise JobArgumentError(f"a schedule may not give {name}")


def _unmoved(row: PeriodicTask) -> QuerySet[Any]:
    """The row, as long as nobody has changed it since it was read; ``date_changed`` reveals an edit."""
    rows: QuerySet[Any] = PeriodicTask.objects.filter(pk=row.pk, enabled=True, date_changed=row.date_changed)
    if row.last_run_at is None:
        return rows.filter(last_run_at__isnull=True)
    return rows.filter(last_run_at=row.last_run_at)


def move_last_run(row: PeriodicTask, *, last_run_at: datetime | None, date_changed: datetime) -> None:
    """Let its next time count from another moment, without firing it."""
    _unmoved(row).update(last_run_at=last_run_at, date_changed=date_changed)


def disable(row: PeriodicTask) -> bool:
    """Switch off a schedule that has expired. False if another Beat, or a person, changed it meanwhile."""
    return bool(_unmoved(row).update(enabled=False))


def _schedule_job(row: PeriodicTask, task: JobTask, args: list[Any], kwargs: dict[str, Any]) -> None:
    # Somebody typed the schedule's name: on its own it could be mistaken for a person's.
    named = task.named(args, kwargs)
    owner = owner_of(row, task, named)
    by = f"schedule {row.name[:150]} ({owner.name})"
    job = scheduling.schedule(
        task,
        named,
        scheduled_by=by[:255],
        author_id=owner.author_id,
        queue=row.queue or None,
        priority=None if row.priority is None else min(row.priority, HIGHEST_PRIORITY),
    )
    trail.add(Deed.SCHEDULED, who=by, origin="Beat", job_id=job.pk, detail=job.function_name)
