"""What a job says about each device: three tasks, in the order and with the keys that clients of this API know."""

from dataclasses import dataclass, field
from typing import Any

PUSH, GENERATE, SYNC = "push_sync_device", "Generate device config", "Sync device config"


@dataclass
class DeviceReport:
    """What happened to one device, with secrets in clear text: they are masked where it is stored."""

    config: str | None = None  # None: it could not be generated
    diff: str = ""
    failure: str | None = None
    change_score: int = 0
    notes: list[str] = field(default_factory=list)  # what a reader should know although nothing failed

    @property
    def failed(self) -> bool:
        return self.failure is not None

    def as_result(self) -> dict[str, Any]:
        """A failed device has the tasks up to the failure; the first and the last of them contain the reason."""
        said = "; ".join([*([self.failure] if self.failure else []), *self.notes]) or None
        tasks = [_task(PUSH, failed=self.failed, result=said)]
        if self.config is None:
            tasks.append(_task(GENERATE, failed=self.failed, result=said))
        else:
            tasks.append(_task(GENERATE, result=self.config))
            tasks.append(_task(SYNC, diff=self.diff, failed=self.failed, result=said))
        return {"failed": self.failed, "job_tasks": tasks}


def _task(name: str, *, diff: str = "", failed: bool = False, result: str | None = None) -> dict[str, Any]:
    return {"diff": diff, "failed": failed, "result": result, "task_name": name}
