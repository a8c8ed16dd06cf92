"""The promises, each a pure function over the story of a run: what was broken, in words, and the table's figures."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.ledger import Event
from tests.chaos.record import Change, Record
from tests.chaos.story import RUNNING, TERMINAL, Run, Story


class Promise(StrEnum):
    ENDS = "an accepted job ends"
    ONCE = "a body starts once per attempt"
    BODY = "a message runs no body but its job's own"
    TIME = "no job starts before it is due"
    HOLDERS = "never two holders of one lock"
    TURN = "first come, first served in a lock's line"
    STARTS = "a due job starts while a slot is idle"
    RESCUE = "a lost worker's job is rescued, a live one's never"
    ONE_END = "one end, written by the run that holds the job"
    CAUSE = "an end says its true cause"
    ABORTS = "an accepted abort stops the job"
    TRUTH = "/readyz tells the truth"
    POSTS = "a POST is answered in time"
    # Not of the platform, but of the run: without them it proves nothing.
    HITS = "every kind of fault hit something"
    CLOCK = "the machine's clock was left alone"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Seconds; a short run may scale them, and the table prints them."""

    stuck: float = 60.0
    rescue: float = 60.0
    truth: float = 15.0
    answer: float = 2.0  # to /readyz and to a POST
    worker_lost: float = 30.0  # the platform's own setting: a shorter pause of a worker is no death
    clock: float = 0.1  # between a commit's time and the moment everybody sees it
    turn: float = 2.0  # who came so shortly before a claim's commit may not have been seen by its statement


@dataclass(frozen=True, kw_only=True)
class Broken:
    promise: Promise
    what: str


@dataclass(kw_only=True)
class Figures:
    """What the table shows beside the broken promises."""

    accepted: int = 0
    finished: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    run_twice: int = 0
    overlapping: int = 0
    ended_after: int = 0
    stuck: int = 0
    longest_wait: float = 0.0
    rescued: int = 0
    longest_rescue: float = 0.0
    attempts: int = 0
    operations: int = 0
    aborts: Counter[int] = field(default_factory=Counter)
    probes: int = 0
    slowest_answer: float = 0.0
    posts: int = 0
    slowest_post: float = 0.0


@dataclass(kw_only=True)
class Verdict:
    broken: list[Broken]
    figures: Figures

    def promises(self) -> set[Promise]:
        return {each.promise for each in self.broken}


Check = Callable[[Story, Thresholds, Figures], Iterator[Broken]]


def check(record: Record, thresholds: Thresholds) -> Verdict:
    """Judge a run by what was recorded of it."""
    from tests.chaos import checks_of_time

    story, figures = Story(record), Figures()
    checks: list[Check] = [ends, once, own_body, one_end, cause, aborts, clock, *checks_of_time.ALL]
    broken = [found for each in checks for found in each(story, thresholds, figures)]
    return Verdict(broken=broken, figures=figures)


def ends(story: Story, _: Thresholds, figures: Figures) -> Iterator[Broken]:
    """Every accepted job, and every row whose acceptance was cut off on its way, is FINISHED or EXCEPTION."""
    accepted = {each.job for each in story.record.accepted}
    figures.accepted = len(accepted)
    for job in sorted(accepted | set(story.rows)):
        row = story.rows.get(job)
        if row is None:
            figures.lost += 1
            yield Broken(promise=Promise.ENDS, what=f"job {job} was accepted and has no row")
        elif row.status not in TERMINAL:
            figures.lost += 1
            yield Broken(promise=Promise.ENDS, what=f"job {job} ({row.kind}) is still {row.status}")
        elif row.status == "FINISHED":
            figures.finished += 1
        else:
            figures.exceptions[row.exception_type or "?"] += 1


def once(story: Story, _: Thresholds, figures: Figures) -> Iterator[Broken]:
    """By the ledger: a body began once, and again only after a retry or a rerun that its kind is allowed."""
    begins: dict[int, list[Run]] = {}
    for run in story.runs.values():
        if run.begins:
            begins.setdefault(run.job, []).append(run)
    for job, runs in sorted(begins.items()):
        count = sum(len(run.begins) for run in runs)
        figures.attempts += count
        kind = story.kind_of(job)
        back = [change for change in story.changes[job] if change.before == RUNNING and change.after == "SCHEDULED"]
        allowed = 1 + sum(1 for change in back if (kind.retries if _is_retry(change, story) else kind.reruns))
        attempts = Counter(run.begins[0].attempt for run in runs)
        unclaimed = [run.token for run in runs if run.claim is None]
        if count > allowed or max(attempts.values()) > 1:
            figures.run_twice += 1
            yield Broken(
                promise=Promise.ONCE,
                what=f"job {job} ({kind.name}): its body began {count} times, {allowed} allowed;"
                f" attempts {dict(attempts)}",
            )
        elif unclaimed:
            yield Broken(
                promise=Promise.ONCE, what=f"job {job} ({kind.name}): a body began without a claim: {unclaimed}"
            )


def _is_retry(change: Change, story: Story) -> bool:
    earlier = [each.retries for each in story.changes[change.job] if each.at < change.at]
    return change.retries > max(earlier, default=0)


def own_body(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """By the ledger: what began under a job's id was the function of the job's task."""
    for run in story.runs.values():
        own = story.kind_of(run.job).name
        for kind in sorted({begin.kind for begin in run.begins} - {own}):
            yield Broken(promise=Promise.BODY, what=f"job {run.job} ({own}): the body of {kind} began")


def one_end(story: Story, thresholds: Thresholds, _: Figures) -> Iterator[Broken]:
    """One terminal state, by the history, and never left; FINISHED only after the body of that very run returned."""
    for job, changes in sorted(story.changes.items()):
        for change in changes:
            if change.before in TERMINAL:
                yield _end(job, story, f"left {change.before} for {change.after}, or was written again")
            elif change.after == "FINISHED":
                yield from _finish(change, story, thresholds)


def _finish(change: Change, story: Story, thresholds: Thresholds) -> Iterator[Broken]:
    if change.before != RUNNING or change.old_token is None:
        yield _end(change.job, story, f"{change.before} → FINISHED")
        return
    end = story.runs[change.job, change.old_token].end
    if end is None or end.how != "returned" or end.wall > change.at + thresholds.clock:
        how = "nothing" if end is None else f"{end.how} at {end.wall - change.at:+.3f} s"
        yield _end(change.job, story, f"FINISHED while run {change.old_token} held it, whose ledger's end says: {how}")


def _end(job: int, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.ONE_END, what=f"job {job} ({story.kind_of(job).name}): {what}")


def cause(story: Story, thresholds: Thresholds, _: Figures) -> Iterator[Broken]:
    """An exception is of the body's own making, or what the harness did explains it."""
    aborted = {each.job for each in story.record.aborts if each.status == 200}
    for job, changes in sorted(story.changes.items()):
        kind = story.kind_of(job)
        for change in changes:
            reason = change.exception_type
            if change.after != "EXCEPTION" or change.before == "EXCEPTION" or reason in kind.ends_with:
                continue
            if reason == "JobAborted" and job in aborted:
                continue
            if reason == "WorkerLost":  # judged by the rescue check
                continue
            run = story.runs.get((job, change.old_token or ""))
            parent = story.parent_of(run) if run else None
            if reason == "WorkerShutdown" and parent is not None and (parent.draining or change.at) < change.at:
                continue
            end = run.end if run else None
            text = "nothing" if end is None else end.how
            yield Broken(
                promise=Promise.CAUSE, what=f"job {job} ({kind.name}) ended as {reason}; its ledger's end says: {text}"
            )


def aborts(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """After 200 a job never waits again, and is FINISHED only if it passed no further safe point."""
    for abort in story.record.aborts:
        figures.aborts[abort.status] += 1
        row = story.rows.get(abort.job)
        if abort.status != 200 or row is None:
            continue
        after = abort.at + thresholds.clock
        for change in story.changes[abort.job]:
            if change.at > after and change.after in (RUNNING, "SCHEDULED") and change.before != change.after:
                yield _abort(abort.job, row.kind, f"{change.before} → {change.after} after it")
        if row.status == "FINISHED":
            passed = [
                o for run in _runs(story, abort.job) for o in run.operations if o.go is not None and o.start > after
            ]
            if passed:
                yield _abort(abort.job, row.kind, f"{len(passed)} operations began after it, and it is FINISHED")


def _runs(story: Story, job: int) -> list[Run]:
    return [run for run in story.runs.values() if run.job == job]


def _abort(job: int, kind: str, what: str) -> Broken:
    return Broken(promise=Promise.ABORTS, what=f"job {job} ({kind}), abort answered 200: {what}")


def clock(story: Story, thresholds: Thresholds, _: Figures) -> Iterator[Broken]:
    """The checks compare wall clocks: they mean nothing if somebody set the machine's."""
    offsets = [line.wall - line.mono for line in story.record.lines if line.event is Event.BEGIN]
    if offsets and max(offsets) - min(offsets) > thresholds.clock:
        yield Broken(
            promise=Promise.CLOCK, what=f"wall and monotonic clock drifted by {max(offsets) - min(offsets):.3f} s"
        )
