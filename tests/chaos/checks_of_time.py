"""The promises that are a matter of when: holders, waits, rescues, /readyz and answers."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.checks import Broken, Figures, Promise, Thresholds
from tests.chaos.record import Change, Probe
from tests.chaos.story import RUNNING, Operation, Run, Story


def holders(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """No device operation starts after its token was gone; of those in hand then, one per device thread may end."""
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
    owners: dict[tuple[str, int], str] = {}
    for run in story.runs.values():
        begin = run.begin
        if begin is None or begin.lock is None:
            continue
        if begin.fence is None:
            yield _overlap(run, story, f"its body began without a token of lock {begin.lock}")
            continue
        owner = owners.setdefault((begin.lock, begin.fence), run.token)
        if owner != run.token:
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
    """From due, or written if that is later, to claimed or ended."""
    since: float | None = None
    for change in changes:
        if change.after == "SCHEDULED":
            since = max(change.at, change.due) if since is None or change.before == RUNNING else since
        elif since is not None:
            yield since, change.at
            since = None
    if since is not None:
        yield since, until


def due(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """The database's clock decides, on both sides: a claim's commit is never earlier than the job's time."""
    for run in story.runs.values():
        if run.claim is not None and run.claim.at < run.claim.due:
            name = story.kind_of(run.job).name
            early = run.claim.due - run.claim.at
            yield Broken(promise=Promise.TIME, what=f"job {run.job} ({name}) started {early:.2f} s before it was due")


def turn(story: Story, thresholds: Thresholds, _: Figures) -> Iterator[Broken]:
    """Who takes a lock leaves nobody behind who was in its line before, by the time of falling due, then the id."""
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
        if change.after == "SCHEDULED":
            until = end if following is None else following.at
            claimed = following is not None and following.after == RUNNING
            yield _Place(job=change.job, due=change.due, since=change.at, until=until, claimed=claimed)


def rescue(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """A run whose process is gone leaves RUNNING in time; one whose process lives is never taken for lost."""
    for run in story.runs.values():
        if run.claim is None:
            continue
        left = story.record.until if run.leave is None else run.leave.at
        died = story.died(run)
        if died is not None and died < left:
            taken = left - died
            if taken > thresholds.rescue:
                figures.stuck += 1
                yield _rescue(run, story, f"RUNNING on no worker for {taken:.1f} s")
        if run.leave is not None and _taken_for_lost(run.leave, story):
            figures.rescued += 1
            since = _lost_since(run, story, left, thresholds)
            if since is None:
                yield _rescue(run, story, f"taken for lost while its worker lived ({run.leave.worker})")
            else:
                figures.longest_rescue = max(figures.longest_rescue, left - since)


def _taken_for_lost(leave: Change, story: Story) -> bool:
    if leave.after == "EXCEPTION":
        return leave.exception_type == "WorkerLost"
    earlier = [each.retries for each in story.changes[leave.job] if each.at < leave.at]
    return leave.after == "SCHEDULED" and leave.retries <= max(earlier, default=0)


def _lost_since(run: Run, story: Story, left: float, thresholds: Thresholds) -> float | None:
    """When its process or its worker died, or fell silent for long enough. None: none of it before ``left``."""
    parent = story.parent_of(run)
    assert run.claim is not None
    times = [story.died(run)]
    if parent is not None:
        times += [parent.until, parent.draining]
        silent = story.paused(parent.pid).within(run.claim.at - thresholds.worker_lost, left)
        times += [since for since, until in silent if min(until, left) - since >= thresholds.worker_lost / 2]
    return min((at for at in times if at is not None and at <= left + thresholds.clock), default=None)


def _rescue(run: Run, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.RESCUE, what=f"job {run.job} ({story.kind_of(run.job).name}): {what}")


def truth(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """/readyz answers in time while the web server is up, and is never wrong about what has been so for a while."""
    web_down = story.maybe_down("web")
    for probe in story.record.probes:
        until = probe.at + probe.seconds
        if web_down.touches(probe.at, until):
            continue
        figures.probes += 1
        figures.slowest_answer = max(figures.slowest_answer, probe.seconds)
        if probe.status == 0 or probe.seconds > thresholds.answer:
            yield _untrue(probe, story, f"no answer within {thresholds.answer:g} s ({probe.seconds:.1f} s)")
            continue
        since = probe.at - thresholds.truth
        for component, is_ok in _expected(story, since, until).items():
            said = probe.states.get(component, "nothing")
            if (said == "ok") is not is_ok:
                yield _untrue(
                    probe, story, f'"{said}" of {component}, which {"was" if is_ok else "was not"} there all the time'
                )
        if (probe.status == 200) is not all(state == "ok" for state in probe.states.values()):
            yield _untrue(probe, story, f"status {probe.status} with {dict(probe.states)}")


def _expected(story: Story, since: float, until: float) -> dict[str, bool]:
    """What must be said of each component that was in one state all the time from ``since`` to ``until``."""
    found = {}
    for component in ("database", "broker"):
        if story.surely_down(component).covers(since, until):
            found[component] = False
        elif not story.maybe_down(component).touches(since, until):
            found[component] = True
    if found.get("database") is not True or since < story.record.since:
        return found  # workers and Beats are known by what they write there
    for role in ("worker", "beat"):
        lives = story.live_role(role)
        if any(live.covers(since, until) for live in lives):
            found[role] = True
        elif not any(live.seconds(since, until) for live in story.maybe_live(role)):
            found[role] = False
    return found


def _untrue(probe: Probe, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.TRUTH, what=f"at {probe.at - story.record.since:.1f} s: {what}")


def posts(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """A POST is answered 200 in time, whatever the broker does; while the database is away 503, as fast."""
    web, database = story.maybe_down("web"), story.maybe_down("database")
    answers: dict[str, set[int | None]] = defaultdict(set)
    for post in story.record.posts:
        if post.status == 200:
            answers[post.key].add(post.job)
        span = post.at, post.at + post.seconds
        if web.touches(*span):
            continue
        figures.posts += 1
        figures.slowest_post = max(figures.slowest_post, post.seconds)
        what = f"a POST at {post.at - story.record.since:.1f} s was answered {post.status} after {post.seconds:.2f} s"
        if post.seconds > thresholds.answer or post.status not in (200, 503):
            yield Broken(promise=Promise.POSTS, what=what)
        elif post.status == 503 and not database.touches(*span):
            yield Broken(promise=Promise.POSTS, what=f"{what}, with the database there")
    for key, jobs in answers.items():
        if len(jobs) > 1:
            yield Broken(promise=Promise.POSTS, what=f"Idempotency-Key {key} was answered with several jobs: {jobs}")


def hits(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """A fault that only ever struck an idle fleet has shown nothing."""
    struck: Counter[str] = Counter()
    for fault in story.record.faults:
        struck[fault.kind] += fault.hits
    for kind, count in sorted(struck.items()):
        if count == 0:
            yield Broken(promise=Promise.HITS, what=f"no fault of kind {kind} hit a RUNNING job or a held lock")


ALL = [holders, holders_by_ledger, starts, due, turn, rescue, truth, posts, hits]
