"""Which devices a live sync changed."""

import json
from collections.abc import Iterable
from typing import Any

from devices.results.view import SyncResult, with_devices
from devices.sync.report import SYNC
from jobs.models import Job, JobDevice, JobOutcome
from jobs.result_views import view_of


def changed_by(job: Job) -> list[str]:
    """Names of devices, without those that failed or were already in sync. Empty for other jobs and dry runs."""
    if not isinstance(view_of(job.task_name), SyncResult) or json.loads(job.start_arguments).get("dry_run", True):
        return []
    return [host for host, report in _reports(job) if not report.get("failed") and _has_diff(report)]


def _reports(job: Job) -> Iterable[tuple[str, dict[str, Any]]]:
    rows = JobDevice.objects.filter(job=job, report__isnull=False).order_by("place").values_list("host", "report")
    if found := [(host, json.loads(report or "{}")) for host, report in rows]:
        return found
    stored = JobOutcome.objects.filter(pk=job.pk).values_list("result", flat=True).first()
    result = with_devices(stored or "")
    return [] if result is None else result["devices"].items()


def _has_diff(report: dict[str, Any]) -> bool:
    return any(task.get("task_name") == SYNC and task.get("diff") for task in report.get("job_tasks") or ())
