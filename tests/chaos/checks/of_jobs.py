"""A job's ends and its attempts."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.record import Change
from tests.chaos.story import DELETED, RUNNING, TERMINAL, Run, Story


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


def once(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
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
        late = [run.token for run in runs if run.leave and run.begins[0].wall > run.leave.at + thresholds.clock]
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
        elif late:
            yield Broken(
                promise=Promise.ONCE, what=f"job {job} ({kind.name}): a body began after its run ended: {late}"
            )


def _is_retry(change: Change, story: Story) -> bool:
    earlier = [each.retries for each in story.changes[change.job] if each.at < change.at]
    return change.retries > max(earlier, default=0)


def own_body(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """By the ledger: what began under a job's id was the function of the job's task."""
    for run in story.runs.values():
        if run.job not in story.rows:
            continue  # withdrawn, or lost: other checks say so
        own = story.kind_of(run.job).name
        for kind in sorted({begin.kind for begin in run.begins} - {own}):
            yield Broken(promise=Promise.BODY, what=f"job {run.job} ({own}): the body of {kind} began")


def one_end(story: Story, thresholds: Thresholds, _: Figures) -> Iterator[Broken]:
    """One terminal state, by the history, and never left; FINISHED only after the body of that very run returned."""
    for job, changes in sorted(story.changes.items()):
        for change in changes:
            if change.before in TERMINAL and change.after != DELETED:
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
    # One that got no answer (0), or a 503 since the answer to its COMMIT was lost, may have done it all the same.
    aborted = {each.job for each in story.record.aborts if each.status in (200, 503, 0)}
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


ALL = [ends, once, own_body, one_end, cause, aborts]
