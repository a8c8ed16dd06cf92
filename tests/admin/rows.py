"""Rows for the admin's lists, many at once, past the functions that make them one by one."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from jobs.guarded_status import made_up_states
from jobs.models import AuditEntry, Heartbeat, Job, JobOutcome
from locks.models import Lock

NOON = datetime(2025, 6, 24, 12, tzinfo=UTC)


def audit_entries(ids: Iterable[int], *, who: Mapping[int, str] | None = None) -> None:
    """These and no others: those of the test's own users are taken away."""
    AuditEntry.objects.all().delete()
    names = who or {}
    AuditEntry.objects.bulk_create(
        AuditEntry(pk=i, time=NOON, who=names.get(i, "bob"), origin="10.0.0.1", action="scheduled", job_id=i)
        for i in ids
    )


def finished(job_id: int | None = None, *, result: str | None = None, **fields: Any) -> Job:
    """A job that ended; ``exception_type`` makes it an EXCEPTION."""
    values = {
        "scheduled_time": NOON,
        "start_time": NOON + timedelta(milliseconds=40),
        "finish_time": NOON + timedelta(seconds=90),
        "function_name": "sync_devices",
        "task_name": "tests.fake_jobs.echo",
        "queue": "default",
        "attempt": 1,
        "finished_devices": "[]",
        **fields,
    }
    status = "EXCEPTION" if values.get("exception_type") else "FINISHED"
    with made_up_states():
        job = Job.objects.create(pk=job_id, status=status, **values)
    if result is not None:
        JobOutcome.objects.create(job=job, result=result)
    return job


def many_jobs(count: int, *, first_id: int | None = None, **fields: Any) -> None:
    values = {
        "status": "FINISHED",
        "scheduled_time": NOON,
        "start_time": NOON,
        "finish_time": NOON,
        "function_name": "sync_devices",
        "task_name": "tests.fake_jobs.echo",
        "queue": "default",
        **fields,
    }
    ids = [None] * count if first_id is None else range(first_id, first_id + count)
    with made_up_states():
        Job.objects.bulk_create([Job(pk=pk, **values) for pk in ids], batch_size=1000)


def heartbeat(name: str = "celery@w1", **fields: Any) -> Heartbeat:
    now = timezone.now()
    values: dict[str, Any] = {"kind": "worker", "pid": 7, "started_at": now, "last_seen": now, "queues": '["default"]'}
    return Heartbeat.objects.create(name=name, **{**values, **fields})


def held(name: str, holder_id: int, *, fence: int = 7) -> Lock:
    return Lock.objects.create(name=name, holder_id=holder_id, start_time=timezone.now(), fence=fence)
