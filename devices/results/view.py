"""The view of a sync's results that jobs uses."""

import json
from collections.abc import Collection
from typing import Any, Final

from devices.results.page import SyncPage
from devices.sync.report import GENERATE, PUSH, SYNC
from jobs.result_views import OnPage, Piece, ResultView

_TASKS: Final = {"config": GENERATE, "diff": SYNC}


class SyncResult(ResultView):
    parts = tuple(_TASKS)

    def without(self, stored: str, parts: Collection[str]) -> str:
        """Leaves out whole entries of ``job_tasks``."""
        result = with_devices(stored)
        if result is None:
            return stored
        names = {_TASKS[part] for part in parts if part in _TASKS}
        for device in result["devices"].values():
            if isinstance(device, dict) and isinstance(device.get("job_tasks"), list):
                device["job_tasks"] = [task for task in device["job_tasks"] if not _is_named(task, names)]
        return json.dumps(result, ensure_ascii=False)

    def on_page(self, stored: str) -> OnPage | None:
        result = with_devices(stored)
        if result is None or not all(map(_has_tasks, result["devices"].values())):
            return None
        return OnPage(template="admin/devices/sync_result.html", context={"sync": SyncPage.of(result["devices"])})

    def pieces(self, report: Any) -> list[Piece] | None:
        if not _has_tasks(report):
            return None
        found = {task.get("task_name"): task for task in report["job_tasks"]}
        diff, said, config = found.get(SYNC, {}).get("diff"), found.get(PUSH, {}).get("result"), None
        if GENERATE in found and not found[GENERATE].get("failed"):
            config = found[GENERATE].get("result")
        parts = (("Said", said, False), ("Diff", diff, True), ("Configuration", config, False))
        return [Piece(title=title, text=str(text), is_diff=is_diff) for title, text, is_diff in parts if text]


def with_devices(stored: str) -> dict[str, Any] | None:
    """The result, parsed; None if it is not the result of a sync, whatever it looks like."""
    if '"job_tasks"' not in stored:
        return None
    try:
        result = json.loads(stored)
    except RecursionError:  # the result of a sync is never that deep
        return None
    return result if isinstance(result, dict) and isinstance(result.get("devices"), dict) else None


def _has_tasks(device: Any) -> bool:
    tasks = device.get("job_tasks") if isinstance(device, dict) else None
    return isinstance(tasks, list) and all(isinstance(task, dict) for task in tasks)


def _is_named(task: Any, names: Collection[str]) -> bool:
    return isinstance(task, dict) and task.get("task_name") in names
