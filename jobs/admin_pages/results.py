"""Results for reading: a sync's devices with their diffs, any other as indented JSON; cut where it gets too long."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

SHOWN: Final = 300_000  # characters of a result on a page
SHOWN_OF_ONE: Final = 40_000  # and of one text in it
MESSAGE_LINES: Final = 10


@dataclass(frozen=True)
class Cut:
    """A text, or its beginning."""

    text: str
    left_out: int = 0  # characters


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
        """A whole configuration, more likely than a message."""
        return self.lines > MESSAGE_LINES


@dataclass(frozen=True, kw_only=True)
class Device:
    name: str
    failed: bool
    changed: bool
    tasks: list[Task]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A result as the page shows it: as devices, or as text."""

    size: int  # characters, of the whole
    devices: list[Device] = field(default_factory=list)
    device_count: int = 0
    failed_count: int = 0
    changed_count: int = 0
    text: Cut | None = None

    @property
    def devices_left_out(self) -> int:
        return self.device_count - len(self.devices)


def cut(text: str, limit: int) -> Cut:
    return Cut(text[:limit], max(0, len(text) - limit))


def pretty(stored: str, *, limit: int) -> Cut:
    """JSON text indented; as it is if it is too long for that."""
    if len(stored) > 4 * limit:
        return cut(stored, limit)
    try:
        value = json.loads(stored)
    except RecursionError:  # what could just be stored may be too deep to read back from here
        return cut(stored, limit)
    return cut(value if isinstance(value, str) else _indented(value, stored), limit)


def _indented(value: Any, otherwise: str) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:  # or to indent
        return otherwise


def shown(stored: str, *, size: int) -> Shown:
    """Args:
    stored: the JSON text, or its beginning.
    size: how long the whole is.
    """
    if len(stored) < size:  # the beginning of JSON is no JSON
        return Shown(size=size, text=Cut(stored[:SHOWN], size - min(SHOWN, len(stored))))
    devices = _devices_of(stored)
    if devices is None:
        return Shown(size=size, text=pretty(stored, limit=SHOWN))
    everyone = [_summary(name, device) for name, device in devices.items()]
    everyone.sort(key=lambda each: (not each[1], not each[2]))  # failed ones first, then the changed
    return Shown(
        size=size,
        devices=list(_within(everyone, devices)),
        device_count=len(everyone),
        failed_count=sum(failed for _, failed, _ in everyone),
        changed_count=sum(changed for _, _, changed in everyone),
    )


def _devices_of(stored: str) -> dict[str, dict[str, Any]] | None:
    """The devices of a sync's result; None for any other result, and for one that only looks like it."""
    if '"job_tasks"' not in stored:
        return None
    try:
        value = json.loads(stored)
    except RecursionError:
        return None
    devices = value.get("devices") if isinstance(value, dict) else None
    if not isinstance(devices, dict):
        return None
    for device in devices.values():
        tasks = device.get("job_tasks") if isinstance(device, dict) else None
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            return None
    return devices


def _summary(name: str, device: dict[str, Any]) -> tuple[str, bool, bool]:
    return name, bool(device.get("failed")), any(task.get("diff") for task in device["job_tasks"])


def _within(everyone: list[tuple[str, bool, bool]], devices: dict[str, dict[str, Any]]) -> Iterator[Device]:
    """As many devices as the page has room for, at least one."""
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
        result = _indented(result, otherwise="nested too deep to show")
    return Task(
        name=str(task.get("task_name")),
        failed=bool(task.get("failed")),
        result=None if result is None else cut(result, SHOWN_OF_ONE),
        diff=[_diff_line(line) for line in diff[:SHOWN_OF_ONE].splitlines()],
        diff_left_out=max(0, len(diff) - SHOWN_OF_ONE),
    )


def _diff_line(line: str) -> DiffLine:
    """A line of a unified diff, or of a driver's own kind; leading blanks are common there."""
    start = line.lstrip()[:1]
    if line.startswith(("@@", "---", "+++")):
        return DiffLine(line, "place")
    return DiffLine(line, {"+": "added", "-": "removed"}.get(start, "context"))
