"""How far jobs are: their devices that are done and failed, of how many. One statement for all."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from jobs.appearance import look_of
from jobs.models import Job
from jobs.sql import store
from jobs.sql.overview_signature import ProgressRow


@dataclass(frozen=True, kw_only=True)
class Progress:
    done: int
    total: int | None  # None: the job has not said how many there are
    failed: int | None  # None: it keeps no row for each device


def progress_of(job_ids: Collection[int]) -> Mapping[int, Progress]:
    """The progress of those jobs that have begun and go through devices, by id."""
    found = ((row.job_id, _progress(row)) for row in store().progress_rows([*job_ids]))
    return {job_id: progress for job_id, progress in found if progress is not None}


def looks_of(jobs: Iterable[Job]) -> dict[int, str]:
    """How the state of each looks, by id. One statement for all."""
    found = {job.pk: job for job in jobs}
    progress = progress_of(found)
    return {job_id: look_by(job, progress.get(job_id)) for job_id, job in found.items()}


def look_by(job: Job, progress: Progress | None) -> str:
    """The same, where it is known how far the job is."""
    return look_of(job.status, job.exception_type, failed=progress.failed if progress else None)


def _progress(row: ProgressRow) -> Progress | None:
    if row.devices:
        return Progress(done=row.done, total=row.devices, failed=row.failed)
    done, named = len(json.loads(row.finished or "[]")), json.loads(row.arguments or "{}").get("hostnames")
    total = len(named) if isinstance(named, list) else None
    return Progress(done=done, total=total, failed=None) if done or total is not None else None
