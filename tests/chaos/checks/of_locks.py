"""Who holds a lock, and whose turn it is."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.record import Change
from tests.chaos.story import RUNNING, Operation, Run, Story


def holders(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """No device operation starts after its token was gone, and none on an answer from long before; of those in hand
    then, one per device thread may end.
    """
    for run in story.runs.values():
        carried_out = [operation for operation in run.operations if operation.go is not None]
        figures.operations += len(carried_out)
        gone = story.gone(run)
        if gone is None:
            continue
        late = [operation for operation in carried_out if operation.start > gone + thresholds.clock]
        if late:
            figures.overlapping += len(late)
            worst = max(operation.start - gone for operation in late)
            yield _overlap(run, story, f"{len(late)} operations started after its token was gone, up to {worst:.2f} s")
        stale = [o for o in carried_out if o.go is not None and o.go - o.start > thresholds.worker_lost and o.go > gone]
        if stale:
            figures.overlapping += len(stale)
            yield _overlap(run, story, f"it was told that it may before its token was gone, and went on after: {stale}")
        in_hand = [o for o in carried_out if o not in late and o.done is not None and o.done > gone]
        figures.ended_after += len(in_hand)
        threads = Counter(operation.thread for operation in in_hand)
        if any(count > 1 for count in threads.values()):
            yield _overlap(
                run, story, f"more than one operation of one thread ended after its token was gone: {in_hand}"
            )


def holders_by_ledger(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """The same without asking the database: who works under an older fencing token than one already at work."""
    by_lock: dict[str, list[tuple[Operation, Run]]] = defaultdict(list)
    owners: dict[tuple[str, int], tuple[int, int]] = {}
    for run in story.runs.values():
        begin = run.begin
        if begin is None or begin.lock is None:
            continue
        if begin.fence is None:
            yield _overlap(run, story, f"its body began without a token of lock {begin.lock}")
            continue
        mine = begin.job, begin.attempt
        if owners.setdefault((begin.lock, begin.fence), mine) != mine:
            yield _overlap(run, story, f"token {begin.fence} of lock {begin.lock} was given twice")
        by_lock[begin.lock] += [(operation, run) for operation in run.operations if operation.go is not None]
    for operations in by_lock.values():
        newest, since = -1, 0.0
        for operation, run in sorted(operations, key=lambda pair: pair[0].go or 0.0):
            assert run.begin is not None
            assert run.begin.fence is not None
            if run.begin.fence > newest:
                newest, since = run.begin.fence, operation.go or 0.0
            elif run.begin.fence < newest and operation.start > since + thresholds.clock:
                yield _overlap(run, story, f"{operation.name} on {operation.device} while token {newest} was at work")


def _overlap(run: Run, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.HOLDERS, what=f"job {run.job} ({story.kind_of(run.job).name}): {what}")


def turn(story: Story, thresholds: Thresholds, _: Figures) -> Iterator[Broken]:
    """A job that takes a lock passes none that was in its line before it, by due time and then id."""
    lines: dict[str, list[_Place]] = defaultdict(list)
    for job, changes in story.changes.items():
        row = story.rows.get(job)
        if row is not None and row.lock is not None:
            lines[row.lock] += _places(changes, story.record.until)
    for lock, places in sorted(lines.items()):
        for taker in (place for place in places if place.claimed):
            passed = [
                ahead.job
                for ahead in places
                if (ahead.due, ahead.job) < (taker.due, taker.job)
                and max(ahead.since, ahead.due) < taker.until - thresholds.turn
                and ahead.until > taker.until
            ]
            if passed:
                name = story.kind_of(taker.job).name
                what = f"job {taker.job} ({name}) took lock {lock} before {sorted(passed)}"
                yield Broken(promise=Promise.TURN, what=what)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A job in line, from the commit that put it there to the one that took it out."""

    job: int
    due: float
    since: float
    until: float
    claimed: bool


def _places(changes: list[Change], end: float) -> Iterator[_Place]:
    for change, following in zip(changes, [*changes[1:], None], strict=True):
        if change.after == "SCHEDULED" and not change.unapproved:
            until = end if following is None else following.at
            claimed = following is not None and following.after == RUNNING
            yield _Place(job=change.job, due=change.due, since=change.at, until=until, claimed=claimed)


ALL = [holders, holders_by_ledger, turn]
