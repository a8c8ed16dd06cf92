"""The record put in order: each run of each job with its claim, its body, its operations, its process and its end."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from tests.chaos.ledger import Event, Line
from tests.chaos.record import Change, Kind, Process, Record, Row
from tests.chaos.spans import Spans, crowded

RUNNING = "RUNNING"
TERMINAL = frozenset({"FINISHED", "EXCEPTION"})
DELETED = "DELETED"  # what the history says about a deleted row


@dataclass(kw_only=True)
class Operation:
    """One device operation of one thread: from the moment before it asked to the moment after it acted."""

    device: str
    name: str
    thread: int
    start: float
    go: float | None = None  # None: it was refused, or its process died while it asked
    done: float | None = None


@dataclass(kw_only=True)
class Run:
    """One attempt in one process, by its run token: what the database says of it, and what the ledger says."""

    job: int
    token: str
    claim: Change | None = None
    leave: Change | None = None
    begins: list[Line] = field(default_factory=list)
    joins: list[Line] = field(default_factory=list)  # of a process that helped the first one
    end: Line | None = None
    operations: list[Operation] = field(default_factory=list)

    @property
    def begin(self) -> Line | None:
        return next(iter([*self.begins, *self.joins]), None)

    @property
    def is_nobodys(self) -> bool:
        """The job goes on when all its participants are gone, until another joins: the token is a placeholder."""
        return self.claim is not None and self.claim.before == RUNNING and self.begin is None


class Story:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.kinds: dict[str, Kind] = {kind.name: kind for kind in record.kinds}
        self.rows: dict[int, Row] = {row.job: row for row in record.rows}
        self.changes: dict[int, list[Change]] = defaultdict(list)
        for change in sorted(record.changes, key=lambda change: change.at):
            self.changes[change.job].append(change)
        self.runs: dict[tuple[int, str], Run] = {}
        self._read_changes()
        self._read_ledger()
        self.members = {member.token: member for member in record.memberships}
        self._free_and_idle: dict[str, Spans] = {}
        self._deaths = {death.pid: death.at for death in record.deaths}

    def _run(self, job: int, token: str) -> Run:
        return self.runs.setdefault((job, token), Run(job=job, token=token))

    def _read_changes(self) -> None:
        for changes in self.changes.values():
            for change in changes:
                if change.old_token == change.new_token:
                    continue
                if change.old_token is not None:
                    self._run(change.job, change.old_token).leave = change
                if change.new_token is not None:
                    self._run(change.job, change.new_token).claim = change

    def _read_ledger(self) -> None:
        open_operations: dict[tuple[int, str, int], Operation] = {}
        for line in sorted(self.record.lines, key=lambda line: line.wall):
            run = self._run(line.job, line.token)
            key = line.job, line.token, line.thread
            if line.event is Event.BEGIN:
                run.begins.append(line)
            elif line.event is Event.JOIN:
                run.joins.append(line)
            elif line.event is Event.END:
                run.end = line
            elif line.event is Event.CHECK:
                operation = Operation(device=line.device, name=line.operation, thread=line.thread, start=line.wall)
                run.operations.append(operation)
                open_operations[key] = operation
            elif key in open_operations:
                if line.event is Event.GO:
                    open_operations[key].go = line.wall
                else:
                    open_operations.pop(key).done = line.wall

    def kind_of(self, job: int) -> Kind:
        name = self.rows[job].kind if job in self.rows else ""
        return self.kinds.get(name, Kind(name=name))

    # --- processes ----------------------------------------------------------------------------------------------------

    def parent_of(self, run: Run) -> Process | None:
        """The worker's main process that had this run."""
        workers = [process for process in self.record.processes if process.role == "worker"]
        if run.begin is not None:
            return next((process for process in workers if process.pid == run.begin.parent), None)
        if run.claim is None:
            return None
        at, name = run.claim.at, run.claim.worker
        return next((p for p in reversed(workers) if p.name == name and p.since <= at <= (p.until or at)), None)

    def died(self, run: Run) -> float | None:
        """When the process that ran its body was gone; for a body that never began, when its worker lost a process."""
        if run.begin is not None:
            return self._deaths.get(run.begin.pid)
        parent = self.parent_of(run)
        if run.claim is None or parent is None:
            return None
        children = [self._deaths.get(pid) for pid in self.record.children.get(parent.pid, ())]
        times = [at for at in [parent.until, *children] if at is not None and at >= run.claim.at]
        return min(times, default=None)

    def paused(self, pid: int) -> Spans:
        return self._pauses.get(pid, Spans())

    @cached_property
    def _pauses(self) -> dict[int, Spans]:
        found: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for pause in self.record.pauses:
            found[pause.pid].append((pause.since, pause.until))
        return {pid: Spans(spans) for pid, spans in found.items()}

    def cut_off(self, process: Process, *components: str) -> Spans:
        """When its host did not reach all of these."""
        return Spans(
            (cut.since, cut.until)
            for cut in self.record.cuts
            if cut.host == process.host and cut.component in components
        )

    def live(self, process: Process) -> Spans:
        """When this main process ran: neither dead nor stopped."""
        until = self.record.until if process.until is None else process.until
        return Spans([(process.since, until)]) - self.paused(process.pid)

    def taking(self, process: Process) -> Spans:
        """When this worker took jobs."""
        live = self.live(process) - self.cut_off(process, "database", "broker")
        return live if process.draining is None else live & Spans([(process.since, process.draining)])

    def live_role(self, role: str) -> list[Spans]:
        """When each of them ran and reached the database."""
        return [
            self.live(process) - self.cut_off(process, "database")
            for process in self.record.processes
            if process.role == role
        ]

    def maybe_live(self, role: str) -> list[Spans]:
        """The same, from the moment they were started: not all that happens before they are ready is known."""
        return [
            self.live(process) | Spans([(process.spawned or process.since, process.since)])
            for process in self.record.processes
            if process.role == role
        ]

    def maybe_down(self, component: str) -> Spans:
        return Spans((outage.since, outage.until) for outage in self.record.outages if outage.component == component)

    def surely_down(self, component: str) -> Spans:
        return Spans((outage.down, outage.up) for outage in self.record.outages if outage.component == component)

    @cached_property
    def idle(self) -> Spans:
        """When some live worker had a slot that ran nothing."""
        busy: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for run in self.runs.values():
            parent = self.parent_of(run)
            if parent is None or run.claim is None:
                continue
            left = self.record.until if run.leave is None else run.leave.at
            died = self.died(run)
            # A body whose row was taken from it keeps its slot until it ends.
            until = max(left, run.end.wall) if run.end is not None else left
            busy[parent.pid].append((run.claim.at, until if died is None else min(until, died)))
        return _union(
            self.taking(process) - crowded(busy[process.pid], process.slots)
            for process in self.record.processes
            if process.role == "worker"
        )

    # --- locks --------------------------------------------------------------------------------------------------------

    @cached_property
    def held(self) -> dict[str, Spans]:
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for tenure in self.record.tenures:
            found[tenure.lock].append((tenure.since, self.record.until if tenure.until is None else tenure.until))
        return {lock: Spans(spans) for lock, spans in found.items()}

    def free_and_idle(self, lock: str) -> Spans:
        """When a job in line for this lock could have started."""
        if lock not in self._free_and_idle:
            self._free_and_idle[lock] = self.idle - self.held.get(lock, Spans())
        return self._free_and_idle[lock]

    @cached_property
    def _tenure_ends(self) -> dict[tuple[str, int, int], float | None]:
        return {(tenure.lock, tenure.job, tenure.fence): tenure.until for tenure in self.record.tenures}

    def gone(self, run: Run) -> float | None:
        """The moment its tokens were gone: its run's, or its lock's if that came first. None: never."""
        times = [run.leave.at] if run.leave is not None else []
        if (member := self.members.get(run.token)) is not None and member.until is not None:
            times.append(member.until)
        begin = run.begin
        if begin is not None and begin.lock is not None and begin.fence is not None:
            ended = self._tenure_ends.get((begin.lock, run.job, begin.fence), begin.wall)
            if ended is not None:
                times.append(ended)
        return min(times, default=None)


def _union(sets: Iterable[Spans]) -> Spans:
    return Spans(span for spans in sets for span in spans)
