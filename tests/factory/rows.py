"""Rows as they would be in the database, written directly and not by the functions that make them one by one."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import connection

from cnaasjobs.db.clock import database_now
from jobs.guarded_status import made_up_states
from jobs.models import AuditEntry, Heartbeat, Job, JobDevice, JobOutcome
from jobs.states import TERMINAL, JobDeviceState, Status
from locks.models import Lock

NOON = datetime(2025, 11, 24, 12, tzinfo=UTC)


def _values(status: str) -> dict[str, Any]:
    """Fields that fit a job in this state."""
    values: dict[str, Any] = {
        "status": status,
        "scheduled_time": NOON,
        "function_name": "sync_devices",
        "task_name": "tests.fake_jobs.echo",
        "queue": "default",
        "start_arguments": "{}",
    }
    if status != Status.SCHEDULED:
        values |= {"start_time": NOON + timedelta(seconds=1), "finished_devices": "[]", "attempt": 1}
    if status == Status.RUNNING:
        values["run_token"] = uuid4()
    if status in TERMINAL:
        values["finish_time"] = NOON + timedelta(seconds=2)
    if status == Status.EXCEPTION:
        values["exception_type"] = "ValueError"
    return values


def job_row(status: str = "FINISHED", *, result: str | None = None, exception: str | None = None, **fields: Any) -> Job:
    """A job in this state; ``result`` and ``exception`` are JSON texts."""
    with made_up_states():
        job = Job.objects.create(**(_values(status) | fields))
    if status == Status.EXCEPTION and exception is None:
        exception = json.dumps({"message": "no", "type": job.exception_type, "args": ["no"], "traceback": ""})
    if status in TERMINAL:
        JobOutcome.objects.create(job=job, result=result, exception=exception)
    return job


def job_rows(count: int, *, first_id: int | None = None, **fields: Any) -> None:
    """Finished ones, without their results."""
    with made_up_states():
        (first,) = Job.objects.bulk_create([Job(pk=first_id, **(_values("FINISHED") | fields))])
    columns = [str(field.column) for field in Job._meta.concrete_fields if field.name not in ("id", "change")]
    picked = [f"{Job._meta.db_table}.{column}" for column in columns]
    if first_id is not None:
        columns, picked = [*columns, "id"], [*picked, f"{first_id} + n"]
    with connection.cursor() as cursor:  # Django would take forty times as long
        cursor.execute(
            f"INSERT INTO {Job._meta.db_table} ({', '.join(columns)})"
            f" WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count} - 1)"
            f" SELECT {', '.join(picked)} FROM {Job._meta.db_table}, numbers"
            f" WHERE {Job._meta.db_table}.id = {first.pk} AND n < {count}"
        )


def device_row(job: Job, host: str, state: str = "DONE", **fields: Any) -> JobDevice:
    """A device of this job, behind those that it has; ``reason`` says why it failed."""
    values: dict[str, Any] = {"place": JobDevice.objects.filter(job=job).count(), "failed": "reason" in fields}
    if state != JobDeviceState.WAITING:
        values |= {"participant": uuid4(), "worker": "celery@w1", "start_time": NOON, "step": "commit"}
    if state == JobDeviceState.DONE:
        values |= {"finish_time": NOON + timedelta(seconds=1), "report": '{"failed": false}', "change_score": 0}
    return JobDevice.objects.create(job=job, host=host, state=state, **(values | fields))


def hold_lock(name: str, holder: Job | int, *, fence: int = 7, start_time: datetime = NOON) -> Lock:
    """A lock that is held by this job, or by a number without a job."""
    holder_id = holder.pk if isinstance(holder, Job) else holder
    held = {"holder_id": holder_id, "start_time": start_time, "fence": fence}
    return Lock.objects.update_or_create(name=name, defaults=held)[0]


def heartbeat(name: str = "celery@w1", **fields: Any) -> Heartbeat:
    """A worker's, written just now."""
    now = database_now()
    values = {"kind": "worker", "pid": 4711, "started_at": now, "last_seen": now, "counter": 1, "queues": '["default"]'}
    return Heartbeat.objects.create(name=name, **(values | fields))


def audit_entries(ids: Iterable[int], *, who: Mapping[int, str] | None = None) -> None:
    """These and no others: those of the test's own users are taken away."""
    AuditEntry.objects.all().delete()
    names = who or {}
    AuditEntry.objects.bulk_create(
        AuditEntry(pk=i, time=NOON, who=names.get(i, "bob"), origin="10.0.0.1", action="scheduled", job_id=i)
        for i in ids
    )
