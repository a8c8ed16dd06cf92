"""A sync's result on its job's page: the devices that failed first, then those with changes, with their diffs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from cnaasjobs.indented import indented
from jobs.admin_pages.toolkit.long_text import SHOWN, SHOWN_OF_ONE, Cut, cut

MESSAGE_LINES: Final = 10


@dataclass(frozen=True)
class DiffLine:
    text: str
    kind: str  # added, removed, place, context: classes of the style sheet


@dataclass(frozen=True, kw_only=True)
class Task:
    name: str
    failed: bool
    result: Cut | None
    diff: list[DiffLine]
    diff_left_out: int

    @property
    def lines(self) -> int:
        return len(self.result.text.splitlines()) if self.result else 0

    @property
    def is_long(self) -> bool:
        """True if it is more likely a whole configuration than a message."""
        return self.lines > MESSAGE_LINES


@dataclass(frozen=True, kw_only=True)
class Device:
    name: str
    failed: bool
    changed: bool
    tasks: list[Task]


@dataclass(frozen=True, kw_only=True)
class SyncPage:
    devices: list[Device]
    count: int
    failed: int
    changed: int

    @property
    def left_out(self) -> int:
        return self.count - len(self.devices)

    @classmethod
    def of(cls, devices: Mapping[str, dict[str, Any]]) -> Self:
        """Made from a result's ``devices``, each with a list of ``job_tasks``."""
        everyone = [_summary(name, device) for name, device in devices.items()]
        everyone.sort(key=lambda each: (not each[1], not each[2]))
        return cls(
            devices=list(_within(everyone, devices)),
            count=len(everyone),
            failed=sum(failed for _, failed, _ in everyone),
            changed=sum(changed for _, _, changed in everyone),
        )


def _summary(name: str, device: dict[str, Any]) -> tuple[str, bool, bool]:
    return name, bool(device.get("failed")), any(task.get("diff") for task in device["job_tasks"])


def _within(everyone: list[tuple[str, bool, bool]], devices: Mapping[str, dict[str, Any]]) -> Iterator[Device]:
    """As many devices as the page has space for, at least one."""
    room = SHOWN
    for name, failed, changed in everyone:
        tasks = [_task(task) for task in devices[name]["job_tasks"]]
        yield Device(name=name, failed=failed, changed=changed, tasks=tasks)
        room -= 200 + sum(_length(task) for task in tasks)
        if room <= 0:
            return


def _length(task: Task) -> int:
    return (len(task.result.text) if task.result else 0) + sum(len(line.text) + 40 for line in task.diff)


def _task(task: dict[str, Any]) -> Task:
    result, diff = task.get("result"), str(task.get("diff") or "")
    if result is not None and not isinstance(result, str):
        result = indented(result, otherwise="nested too deep to show")
    return Task(
        name=str(task.get("task_name")),
        failed=bool(task.get("failed")),
        result=None if result is None else cut(result, SHOWN_OF_ONE),
        diff=[_diff_line(line) for line in diff[:SHOWN_OF_ONE].splitlines()],
        diff_left_out=max(0, len(diff) - SHOWN_OF_ONE),
    )


def _diff_line(line: str) -> DiffLine:
    """A line of a unified diff, or of a driver's own format, where leading spaces are common."""
    start = line.lstrip()[:1]
    if line.startswith(("@@", "---", "+++")):
        return DiffLine(line, "place")
    return DiffLine(line, {"+": "added", "-": "removed"}.get(start, "context"))
