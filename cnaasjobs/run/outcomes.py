"""What a dry run found on each device, as the API tells it, and the short table of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from cnaasjobs.plain_text import clean

SHOWN: Final = 20
_NARROW: Final = 72  # columns: with fewer, the figures are left out, and the names and reasons stay
_DIFF_HEADERS: Final = ("+++ ", "--- ")


class Outcome(StrEnum):
    """What became of a device, in the order in which devices are shown."""

    FAILED = "failed"
    NOT_BEGUN = "not begun"
    WOULD_CHANGE = "would change"
    NO_CHANGE = "no change"


_STYLES: Final = {Outcome.FAILED: "bold red", Outcome.NOT_BEGUN: "yellow", Outcome.WOULD_CHANGE: "cyan"}
_IN_WORDS: Final = {Outcome.NOT_BEGUN: "not begun", Outcome.NO_CHANGE: "would not change"}


@dataclass(frozen=True, kw_only=True)
class FoundDevice:
    """A device and what became of it. ``note`` is why it failed, or anything else that a reader should know."""

    name: str
    outcome: Outcome
    score: int | None
    added: int
    removed: int
    note: str

    @classmethod
    def of(cls, device: Mapping[str, Any]) -> "FoundDevice":
        """``device`` is one of the objects that ``GET /job/<id>/devices?report=1`` returns."""
        report = device.get("report")
        tasks = (report.get("job_tasks") if isinstance(report, dict) else None) or []
        lines = [line for task in tasks for line in str(task.get("diff") or "").splitlines()]
        changed = [line[0] for line in lines if line[:1] in ("+", "-") and not line.startswith(_DIFF_HEADERS)]
        if device["failed"]:
            outcome = Outcome.FAILED
        elif device["state"] != "DONE":
            outcome = Outcome.NOT_BEGUN
        else:
            outcome = Outcome.WOULD_CHANGE if lines or device["change_score"] else Outcome.NO_CHANGE
        said = device["reason"] or (tasks[0].get("result") if tasks else None)
        return cls(
            name=clean(device["hostname"]),
            outcome=outcome,
            score=device["change_score"],
            added=changed.count("+"),
            removed=changed.count("-"),
            note=clean(said),
        )


def in_words(found: Sequence[FoundDevice]) -> str:
    """How many devices had which outcome: "1 of 6 devices failed, 5 would change"."""
    counts = Counter(each.outcome for each in found)
    said = [f"{counts[outcome]} {_IN_WORDS.get(outcome, outcome)}" for outcome in Outcome if counts[outcome]]
    if not said:
        return "it had no devices"
    first, *others = said
    number, words = first.split(" ", 1)
    return ", ".join([f"{number} of {len(found)} device{'' if len(found) == 1 else 's'} {words}", *others])


def table(found: Sequence[FoundDevice], *, width: int) -> Table:
    """The first devices: those that failed, then those that would change, the riskiest first."""
    order = list(Outcome)
    rows = sorted(found, key=lambda each: (order.index(each.outcome), -(each.score or 0)))[:SHOWN]
    with_notes = any(each.note for each in rows)
    with_figures = width >= _NARROW and any(each.added or each.removed for each in rows)
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column("device", overflow="fold", max_width=max(12, width // 3))
    shown.add_column("outcome", no_wrap=True)
    if with_figures:
        shown.add_column("lines", no_wrap=True)
        shown.add_column("score", justify="right", no_wrap=True)
    if with_notes:
        shown.add_column("why", overflow="fold")
    for each in rows:
        cells = [Text(each.name), Text(each.outcome, style=_STYLES.get(each.outcome, "green"))]
        if with_figures:
            is_known = each.outcome in (Outcome.WOULD_CHANGE, Outcome.NO_CHANGE) or each.added or each.removed
            cells += [Text(f"+{each.added} -{each.removed}"), Text(str(each.score or 0))] if is_known else [Text()] * 2
        if with_notes:
            cells.append(Text(each.note))
        shown.add_row(*cells)
    return shown
