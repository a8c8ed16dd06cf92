"""The view of a sync's results that jobs uses."""

import json
from collections.abc import Collection, Iterable
from typing import Any, Final

from devices.results.page import SyncPage
from devices.sync.report import GENERATE, PUSH, SYNC
from jobs.models import Job, JobDevice, JobOutcome
from jobs.result_views import OnPage, ResultView, Section

_TASKS: Final = {"config": GENERATE, "diff": SYNC}


class SyncResult(ResultView):
    parts = tuple(_TASKS)

    def without(self, stored: str, parts: Collection[str]) -> str:
        """Leaves out whole entries of ``job_tasks``."""
        result = _with_devices(stored)
        if result is None:
            return stored
        names = {_TASKS[part] for part in parts if part in _TASKS}
        for device in result["devices"].values():
            if isinstance(device, dict) and isinstance(device.get("job_tasks"), list):
                device["job_tasks"] = [task for task in device["job_tasks"] if not _is_named(task, names)]
        return json.dumps(result, ensure_ascii=False)

    def changed_devices(self, job: Job) -> list[str]:
        """Without devices that failed or were already in sync; none of a dry run."""
        if json.loads(job.start_arguments).get("dry_run", True):
            return []
        return [host for host, report in _reports(job) if not report.get("failed") and _has_diff(report)]

    def on_page(self, stored: str) -> OnPage | None:
        result = _with_devices(stored)
        if result is None or not all(map(_has_tasks, result["devices"].values())):
            return None
        return OnPage(template="admin/devices/sync_result.html", context={"sync": SyncPage.of(result["devices"])})

    def sections(self, report: Any) -> list[Section] | None:
        if not _has_tasks(report):
            return None
        found = {task.get("task_name"): task for task in report["job_tasks"]}
        diff, said, config = found.get(SYNC, {}).get("diff"), found.get(PUSH, {}).get("result"), None
        if GENERATE in found and not found[GENERATE].get("failed"):
            config = found[GENERATE].get("result")
        parts = (("Said", said, False), ("Diff", diff, True), ("Configuration", config, False))
        return [Section(title=title, text=str(text), is_diff=is_diff) for title, text, is_diff in parts if text]


def _reports(job: Job) -> Iterable[tuple[str, dict[str, Any]]]:
    rows = JobDevice.objects.filter(job=job, report__isnull=False).order_by("place").values_list("host", "report")
    if found := [(host, json.loads(report or "{}")) for host, report in rows]:
        return found
    stored = JobOutcome.objects.filter(pk=job.pk).values_list("result", flat=True).first()
    result = _with_devices(stored or "")
    return [] if result is None else result["devices"].items()


def _has_diff(report: dict[str, Any]) -> bool:
    return any(task.get("task_name") == SYNC and task.get("diff") for task in report.get("job_tasks") or ())


def _with_devices(stored: str) -> dict[str, Any] | None:
    """The result, parsed; None if it is not the result of a sync, whatever it looks like."""
    if '"job_tasks"' not in stored:
        return None
    try:
        result = json.loads(stored)
    except RecursionError:  # the result of a sync is never nested that deep
        return None
    return result if isinstance(result, dict) and isinstance(result.get("devices"), dict) else None


def _has_tasks(device: Any) -> bool:
    tasks = device.get("job_tasks") if isinstance(device, dict) else None
    return isinstance(tasks, list) and all(isinstance(task, dict) for task in tasks)


def _is_named(task: Any, names: Collection[str]) -> bool:
    return isinstance(task, dict) and task.get("task_name") in names
