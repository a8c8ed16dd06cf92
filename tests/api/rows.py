"""Rows for tests of reading: a job in any state, with times that fit it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from jobs.guarded_status import made_up_states
from jobs.models import Job, JobOutcome
from jobs.states import Status
from locks.models import Lock

NOON = datetime(2026, 11, 24, 12, 0, 0, 0, tzinfo=UTC)


def make_job(
    status: str = "FINISHED", *, result: str | None = None, exception: str | None = None, **fields: Any
) -> Job:
    """A job as it would stand in the database; ``result`` and ``exception`` are JSON texts."""
    filled: dict[str, Any] = {
        "status": status,
        "scheduled_time": NOON,
        "function_name": "sync_devices",
        "task_name": "tests.fake_jobs.nothing",
        "queue": "default",
        "start_arguments": "{}",
    }
    if status != Status.SCHEDULED:
        filled |= {"start_time": NOON + timedelta(seconds=1), "finished_devices": "[]", "attempt": 1}
    if status == Status.RUNNING:
        filled["run_token"] = uuid4()
    if status in (Status.FINISHED, Status.EXCEPTION):
        filled["finish_time"] = NOON + timedelta(seconds=2)
    if status == Status.EXCEPTION:
        filled["exception_type"] = "ValueError"
        exception = exception or '{"message": "no", "type": "ValueError", "args": ["no"], "traceback": ""}'
    with made_up_states():
        job = Job.objects.create(**(filled | fields))
    if status in (Status.FINISHED, Status.EXCEPTION):
        JobOutcome.objects.create(job=job, result=result, exception=exception)
    return job


def hold_lock(name: str, job: Job, *, fence: int = 1) -> Lock:
    return Lock.objects.create(name=name, holder_id=job.pk, start_time=NOON, fence=fence)
