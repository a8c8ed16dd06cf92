"""What a reader of the feed is told of a job, a lock and a batch of log lines: their state when it is read.

A row that changes meanwhile is sent in its newer state, and then once more; one that is deleted meanwhile is not sent.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cnaasjobs.api.times import time_text
from jobs.api.waiting_json import lock_objects_of, reason_object
from jobs.models import Job, JobLog, JobOutcome
from jobs.sql.position import Change, Kind
from jobs.states import Status
from jobs.waiting.progress import Progress, progress_of
from jobs.waiting.why import reasons_of
from locks.models import Lock

LINE: Final = ("time", "level", "module", "device", "text")


class Told(NamedTuple):
    """One event. ``job_id`` is that of a job or of its log."""

    kind: Kind
    job_id: int | None
    data: Mapping[str, Any]


def told(changes: Sequence[Change]) -> list[Told]:
    ids = {kind: [change.id for change in changes if change.kind is kind] for kind in Kind}
    found = {
        kind: dict(objects_of(ids[kind]))
        for kind, objects_of in ((Kind.JOB, _jobs), (Kind.LOCK, _locks), (Kind.LOG, _logs))
        if ids[kind]
    }
    return [
        Told(kind, data["id"] if kind is Kind.JOB else data.get("job_id"), data)
        for kind, key in changes
        if (data := found[kind].get(key)) is not None
    ]


def job_objects(jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
    running = [job.pk for job in jobs if job.status == Status.RUNNING]
    progress = progress_of(running) if running else {}
    waiting = [job for job in jobs if job.status == Status.SCHEDULED]
    reasons = reasons_of(waiting) if waiting else {}
    failed = [job.pk for job in jobs if job.status == Status.EXCEPTION]
    exceptions = dict(JobOutcome.objects.filter(pk__in=failed).values_list("pk", "exception")) if failed else {}
    for job in jobs:
        if job.status == Status.EXCEPTION and job.pk not in exceptions:
            continue  # it was deleted after the rows were read
        yield {
            "id": job.pk,
            "status": job.status,
            "scheduled_time": time_text(job.scheduled_time),
            "start_time": time_text(job.start_time),
            "finish_time": time_text(job.finish_time),
            "function_name": job.function_name,
            "scheduled_by": job.scheduled_by,
            "comment": job.comment,
            "ticket_ref": job.ticket_ref,
            "next_job_id": job.next_job_id,
            "exception": _exception(job, exceptions.get(job.pk)),
            "change_score": job.change_score,
            "abort": job.abort_reason is not None,
            "devices": _devices(progress.get(job.pk)),
            "waiting": [reason_object(reason) for reason in reasons.get(job.pk, [])],
        }


def _jobs(ids: Collection[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = list(Job.objects.defer("finished_devices", "start_arguments").filter(pk__in=ids))
    return ((each["id"], each) for each in job_objects(rows))


def _exception(job: Job, stored: str | None) -> dict[str, Any] | None:
    """Its type and message; the traceback is only on the job's page."""
    if stored is None:
        return None
    return {"type": job.exception_type, "message": json.loads(stored)["message"]}


def _devices(progress: Progress | None) -> dict[str, int | None] | None:
    """How far a running job is; None if it does not go through devices."""
    return None if progress is None else {"done": progress.done, "failed": progress.failed, "total": progress.total}


def _locks(ids: Collection[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    names = dict(Lock.objects.filter(pk__in=ids).values_list("name", "pk"))
    return ((names[each["name"]], each) for each in lock_objects_of(names))


def _logs(ids: Collection[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    for key, job_id, text in JobLog.objects.filter(pk__in=ids).values_list("pk", "job_id", "text"):
        lines = [dict(zip(LINE, line, strict=True)) for line in json.loads(text)]
        yield key, {"job_id": job_id, "lines": lines}
