"""The devices of a job that goes through them by ``ctx.each``, in one process or in several at once."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.chaos.checks.of_time import lost_since
from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.record import DeviceRow
from tests.chaos.story import TERMINAL, Operation, Run, Story

_CHANGES = "commit"  # the step that changes a device

Touch = tuple[Operation, Run]


def once_over(story: Story, _: Thresholds, figures: Figures) -> Iterator[Broken]:
    """Each device of a job that has ended is over exactly once by the ledger, or its row says what it is instead."""
    touches = _touches(story)
    live = {job for (job, _), found in touches.items() if any(each.name == _CHANGES for each, _ in found)}
    for row in story.record.devices:
        job = story.rows.get(row.job)
        if job is None or job.status not in TERMINAL:
            continue
        figures.devices += 1
        done = [operation for operation, _ in touches[row.job, row.host]]
        if (what := _contradicts(row, done, is_live=row.job in live)) is not None:
            yield _device(row.job, row.host, story, what)


def _contradicts(row: DeviceRow, touched: Sequence[Operation], *, is_live: bool) -> str | None:
    """What the ledger says against the row."""
    changes = [operation for operation in touched if operation.name == _CHANGES]
    over = [operation for operation in (changes if is_live else touched) if operation.done is not None]
    if len(changes) > 1:
        return f"was changed {len(changes)} times"
    if row.state == "DONE" and not row.failed:
        return None if over else "is reported as over, and is not"
    if row.state == "DONE":
        is_lost = "lost" in (row.reason or "")
        return f"failed ({row.reason}), and was changed" if changes and not is_lost else None
    if row.state == "WAITING":
        return "counts as never begun, and was changed" if changes else None
    return f"is {row.state}, though its job has ended"


def one_hand(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """No device of a job is touched by two participants at once. One that was judged lost, as one that is frozen is,
    counts until then: what it has in hand may end later, and the same device be in another's hands. That it begins no
    more is what ``holders`` asks, and that it was silent for long enough is what ``gone`` asks.
    """
    figures.participants += len(story.record.memberships)
    for (job, host), touches in _touches(story).items():
        ends: tuple[float, str] | None = None
        for operation, run in sorted(touches, key=lambda touch: touch[0].go or 0.0):
            assert operation.go is not None
            if ends is not None and ends[1] != run.token and operation.go < ends[0] - thresholds.clock:
                yield _device(job, host, story, f"was touched by two participants at once ({operation.name})")
            until = _until(operation, run, story)
            ends = max(ends, (until, run.token)) if ends is not None else (until, run.token)


def _until(operation: Operation, run: Run, story: Story) -> float:
    """When it was over: done, its process dead, or its body ended without it; or its participant was judged lost."""
    body = run.end.wall if run.end is not None else None
    ends = [operation.done] if operation.done is not None else [story.died(run), body]
    return min((at for at in [*ends, story.gone(run)] if at is not None), default=story.record.until)


def gone(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """A participant whose process died is none any more in time; one that lives is never judged lost."""
    known = {row.job for row in story.record.devices}
    for member in story.record.memberships:
        run = story.runs.get((member.job, member.token))
        if member.job not in known or run is None or run.begin is None:
            continue
        died = story.died(run)
        until = story.record.until if member.until is None else member.until
        if died is not None and until - died > thresholds.rescue:
            yield _member(member.job, story, f"still has a participant {until - died:.1f} s after its process was gone")
        # One that leaves has nothing in hand.
        in_hand = any(_is_in_hand(operation, until, thresholds.clock) for operation in run.operations)
        if in_hand and lost_since(run, story, member.since, until, thresholds) is None:
            yield _member(member.job, story, f"lost a participant that lived ({member.worker})")


def _is_in_hand(operation: Operation, at: float, clock: float) -> bool:
    return operation.go is not None and operation.go < at - clock and (operation.done or math.inf) > at + clock


def _touches(story: Story) -> dict[tuple[int, str], list[Touch]]:
    """What was done on each device of each job, of those that have a row."""
    found: dict[tuple[int, str], list[Touch]] = defaultdict(list)
    known = {(row.job, row.host) for row in story.record.devices}
    for run in story.runs.values():
        for operation in run.operations:
            if operation.go is not None and (run.job, operation.device) in known:
                found[run.job, operation.device].append((operation, run))
    return found


def _device(job: int, host: str, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.DEVICES, what=f"job {job} ({story.kind_of(job).name}): {host} {what}")


def _member(job: int, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.RESCUE, what=f"job {job} ({story.kind_of(job).name}) {what}")


ALL = [once_over, one_hand, gone]
