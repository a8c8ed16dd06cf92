"""When a job starts, and when one is rescued."""

from collections.abc import Iterator

from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.record import Change
from tests.chaos.story import RUNNING, Run, Story


def starts(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """No job is due for long while it could start: its lock free, and a slot idle somewhere."""
    for job, changes in sorted(story.changes.items()):
        row = story.rows.get(job)
        free = story.idle
        if row is not None and row.lock is not None:
            free = story.free_and_idle(row.lock)
        longest = max((free.seconds(*span) for span in _waits(changes, story.record.until)), default=0.0)
        figures.longest_wait = max(figures.longest_wait, longest)
        if longest > thresholds.stuck:
            figures.stuck += 1
            name = story.kind_of(job).name
            yield Broken(
                promise=Promise.STARTS, what=f"job {job} ({name}) was due for {longest:.1f} s while a slot was idle"
            )


def _waits(changes: list[Change], until: float) -> Iterator[tuple[float, float]]:
    """From due, or written or approved if that is later, to claimed or ended."""
    since: float | None = None
    for change in changes:
        if change.unapproved:
            since = None
        elif change.after == "SCHEDULED":
            since = max(change.at, change.due) if since is None or change.before == RUNNING else since
        elif since is not None:
            yield since, change.at
            since = None
    if since is not None:
        yield since, until


def due(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """The database's clock decides, on both sides: a claim's commit is never earlier than the job's time."""
    for run in story.runs.values():
        if run.claim is not None and run.claim.before != RUNNING and run.claim.at < run.claim.due:
            name = story.kind_of(run.job).name
            early = run.claim.due - run.claim.at
            yield Broken(promise=Promise.TIME, what=f"job {run.job} ({name}) started {early:.2f} s before it was due")


def rescue(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """A run whose process is gone leaves RUNNING in time; one whose process lives is never taken for lost."""
    for run in story.runs.values():
        if run.claim is None:
            continue
        left = story.record.until if run.leave is None else run.leave.at
        died = None if run.is_nobodys else story.died(run)
        if died is not None and died < left:
            taken = left - died
            if taken > thresholds.rescue:
                figures.stuck += 1
                yield _rescue(run, story, f"RUNNING on no worker for {taken:.1f} s")
        if run.leave is not None and _taken_for_lost(run.leave, story):
            figures.rescued += 1
            since = _lost_since(run, story, left, thresholds)
            if since is None:
                silent = _silent_for(run, story, left)
                yield _rescue(
                    run, story, f"taken for lost while its worker lived ({run.leave.worker}, silent for {silent:.1f} s)"
                )
            else:
                figures.longest_rescue = max(figures.longest_rescue, left - since)


def _taken_for_lost(leave: Change, story: Story) -> bool:
    if leave.after == "EXCEPTION":
        return leave.exception_type == "WorkerLost"
    earlier = [each.retries for each in story.changes[leave.job] if each.at < leave.at]
    return leave.after == "SCHEDULED" and leave.retries <= max(earlier, default=0)


def _lost_since(run: Run, story: Story, left: float, thresholds: Thresholds) -> float | None:
    """When its process or its worker died, or fell silent under it for long enough; None if none of it came before."""
    assert run.claim is not None
    if run.is_nobodys:
        others = [(each, each.begin) for each in story.runs.values() if each.job == run.job and each is not run]
        times = [lost_since(each, story, begin.wall, left, thresholds) for each, begin in others if begin is not None]
        return min((at for at in times if at is not None), default=None)
    # A participant was there before the job named it.
    began = run.begin.wall if run.joins and run.begin else run.claim.at
    return lost_since(run, story, began, left, thresholds)


def lost_since(run: Run, story: Story, began: float, left: float, thresholds: Thresholds) -> float | None:
    parent = story.parent_of(run)
    times = [story.died(run)]
    if parent is not None:
        times += [parent.until, parent.draining]
        silent = story.paused(parent.pid) | story.cut_off(parent, "database")
        spans = [(max(since, began), min(until, left)) for since, until in silent.within(began, left)]
        times += [since for since, until in spans if until - since >= thresholds.worker_lost / 2]
    return min((at for at in times if at is not None and at <= left + thresholds.clock), default=None)


def _silent_for(run: Run, story: Story, left: float) -> float:
    """Since its worker's last heartbeat then: where that is long, the machine may have been too busy to live on."""
    parent = story.parent_of(run)
    beats = [] if parent is None else story.record.beats.get(parent.pid, [])
    return left - max((at for at in beats if at <= left), default=left)


def _rescue(run: Run, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.RESCUE, what=f"job {run.job} ({story.kind_of(run.job).name}): {what}")


def remnants(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """PostgreSQL by itself rolls back and frees what a vanished host held."""
    for remnant in story.record.remnants:
        taken = (story.record.until if remnant.until is None else remnant.until) - remnant.since
        figures.longest_remnant = max(figures.longest_remnant, taken)
        if remnant.until is None or taken > thresholds.remnants:
            what = f"{remnant.host} vanished, and {remnant.held} locks that it held were not free after {taken:.1f} s"
            yield Broken(promise=Promise.REMNANTS, what=what)


ALL = [starts, due, rescue, remnants]
