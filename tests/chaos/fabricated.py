"""Records made by hand: a run in which all went well, which each test of the checker breaks in one place."""

from dataclasses import replace
from typing import Any

from tests.chaos.ledger import Event, Line
from tests.chaos.record import Accepted, Change, Cut, Death, Kind, Outage, Process, Record, Row, Tenure
from tests.chaos.story import DELETED

START = 1_000_000.0
LENGTH = 300.0
WORKER, CHILD = 100, 101
SECOND_WORKER, SECOND_CHILD = 200, 201
KINDS = [
    Kind(name="short"),
    Kind(name="fan"),
    Kind(name="failing", ends_with=("ValueError",)),
    Kind(name="retried", retries=True),
    Kind(name="rerun", reruns=True),
    Kind(name="guarded", approval=True, ends_with=("JobRejected",)),
]


class Fabricated:
    """Times are seconds since the start of the run. Each method adds what the real sources would have recorded."""

    def __init__(self) -> None:
        self.record = Record(since=START, until=START + LENGTH, kinds=list(KINDS))
        for host, name, pid in (("host1", "w1@host", WORKER), ("host2", "w2@host", SECOND_WORKER)):
            self.record.processes.append(
                Process(role="worker", name=name, host=host, pid=pid, since=START, until=None, slots=2)
            )
        self.record.processes.append(Process(role="beat", name="beat1", pid=300, since=START, until=None))
        self.record.processes.append(Process(role="web", name="web", pid=400, since=START, until=None))
        self.record.children = {WORKER: [CHILD, 102], SECOND_WORKER: [SECOND_CHILD, 202]}
        self._retries: dict[int, int] = {}
        self._due: dict[int, float] = {}

    def accept(
        self,
        job: int,
        kind: str = "short",
        *,
        at: float,
        due: float | None = None,
        lock: str | None = None,
        unapproved: bool = False,
    ) -> None:
        self.record.accepted.append(Accepted(job=job, kind=kind, by="schedule", at=START + at))
        self.record.rows.append(Row(job=job, kind=kind, status="SCHEDULED", exception_type=None, lock=lock))
        due = START + (at if due is None else due)
        self.change(job, at, None, "SCHEDULED", due=due, unapproved=unapproved)

    def change(
        self, job: int, at: float, before: str | None, after: str, *, due: float | None = None, **more: object
    ) -> None:
        self._due[job] = due = self._due[job] if due is None else due
        fields: dict[str, Any] = {"due": due, "retries": self._retries.get(job, 0), **more}
        self.record.changes.append(Change(job=job, at=START + at, before=before, after=after, **fields))
        row = self._row(job)
        exception_type = more.get("exception_type")
        assert exception_type is None or isinstance(exception_type, str)
        self._replace_row(job, replace(row, status=after, exception_type=exception_type))

    def claim(self, job: int, token: str, *, at: float, worker: str = "w1@host", fence: int | None = None) -> None:
        self.change(job, at, "SCHEDULED", "RUNNING", new_token=token, worker=worker)
        if fence is not None:
            lock = self._row(job).lock or ""
            self.record.tenures.append(Tenure(lock=lock, job=job, fence=fence, since=START + at, until=None))

    def line(
        self, event: Event, job: int, token: str, at: float, *, pid: int = CHILD, thread: int = 1, **more: object
    ) -> None:
        row = self._row(job)
        fences = [tenure.fence for tenure in self.record.tenures if tenure.job == job]
        self.record.lines.append(
            Line(
                event=event,
                job=job,
                attempt=int(str(more.pop("attempt", 1))),
                token=token,
                kind=row.kind,
                pid=pid,
                parent=pid // 100 * 100,
                thread=thread,
                wall=START + at,
                mono=at,
                lock=row.lock,
                fence=fences[-1] if fences else None,
                **more,  # type: ignore[arg-type]
            )
        )

    def operation(
        self, job: int, token: str, device: str, at: float, until: float, *, pid: int = CHILD, thread: int = 1
    ) -> None:
        for event, moment in ((Event.CHECK, at), (Event.GO, at + 0.001), (Event.DONE, until)):
            self.line(event, job, token, moment, pid=pid, thread=thread, device=device, operation="configure")

    def leave(
        self, job: int, token: str, after: str, *, at: float, exception_type: str | None = None, retry: bool = False
    ) -> None:
        self._retries[job] = self._retries.get(job, 0) + retry
        self.change(
            job, at, "RUNNING", after, old_token=token, exception_type=exception_type, worker="w1@host", due=START + at
        )
        self.record.tenures = [
            replace(tenure, until=START + at) if tenure.job == job and tenure.until is None else tenure
            for tenure in self.record.tenures
        ]

    def whole_job(
        self,
        job: int,
        kind: str = "short",
        *,
        at: float,
        seconds: float = 1.0,
        lock: str | None = None,
        fence: int | None = None,
        pid: int = CHILD,
        worker: str = "w1@host",
    ) -> str:
        """Accepted, claimed, run with one operation, and finished. Its token."""
        token = f"token-{job}"
        self.accept(job, kind, at=at, lock=lock)
        self.claim(job, token, at=at + 0.1, fence=fence, worker=worker)
        self.line(Event.BEGIN, job, token, at + 0.2, pid=pid)
        self.operation(job, token, "device-1", at + 0.3, at + seconds, pid=pid)
        self.line(Event.END, job, token, at + seconds + 0.1, pid=pid, how="returned")
        self.leave(job, token, "FINISHED", at=at + seconds + 0.2)
        return token

    def posted(self, job: int, key: str) -> None:
        """It was inserted for a request with this key."""
        self.record.changes = [
            replace(change, key=key) if change.job == job and change.before is None else change
            for change in self.record.changes
        ]

    def withdraw(self, job: int, *, at: float) -> None:
        """Its row is gone; nobody was told of it."""
        self.change(job, at, self._row(job).status, DELETED)
        self.record.rows = [row for row in self.record.rows if row.job != job]
        self.record.accepted = [each for each in self.record.accepted if each.job != job]

    def down(self, component: str, since: float, until: float) -> None:
        times = {"since": START + since, "down": START + since + 1, "up": START + until - 1, "until": START + until}
        self.record.outages.append(Outage(component=component, **times))

    def cut_off(self, host: str, component: str, since: float, until: float) -> None:
        self.record.cuts.append(Cut(host=host, component=component, since=START + since, until=START + until))

    def two_attempts(self, kind: str, *, retry: bool, second_attempt: int = 2) -> None:
        self.accept(4, kind, at=10)
        self.claim(4, "a", at=11)
        self.line(Event.BEGIN, 4, "a", 12)
        if retry:
            self.line(Event.END, 4, "a", 13, how="Retry")
        self.leave(4, "a", "SCHEDULED", at=14, retry=retry)
        self.claim(4, "b", at=21)
        self.line(Event.BEGIN, 4, "b", 22, attempt=second_attempt, pid=102)
        self.line(Event.END, 4, "b", 23, attempt=second_attempt, pid=102, how="returned")
        self.leave(4, "b", "FINISHED", at=24)

    def killed(self, *, rescued_at: float, kind: str = "short") -> None:
        self.accept(4, kind, at=100)
        self.claim(4, "a", at=101)
        self.line(Event.BEGIN, 4, "a", 102)
        self.record.deaths.append(Death(pid=CHILD, at=START + 110))
        self.leave(4, "a", "EXCEPTION", at=rescued_at, exception_type="WorkerLost")

    def _row(self, job: int) -> Row:
        return next(row for row in self.record.rows if row.job == job)

    def _replace_row(self, job: int, row: Row) -> None:
        self.record.rows = [row if each.job == job else each for each in self.record.rows]
