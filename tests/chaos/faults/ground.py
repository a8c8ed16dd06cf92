"""What all faults need: the fleet, a target that is worth striking, and a count of what was struck."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping

import psycopg2

from tests.chaos import history
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Line
from tests.chaos.members import Member
from tests.chaos.plan import LASTING_SECONDS, PlannedFault
from tests.waiting import wait_until

_PATIENCE_SECONDS = 8.0  # for a process that runs a job, before an idle one is struck
_NO_WORKER_SECONDS = 90.0

Struck = tuple[str, int]  # what, and how many RUNNING jobs and held locks it struck
Kinds = Mapping[str, Callable[[PlannedFault, random.Random], Struck]]


class Ground:
    def __init__(self, fleet: Fleet, *, worker_lost_seconds: float) -> None:
        self.fleet = fleet
        self.members = fleet.members
        self.worker_lost_seconds = worker_lost_seconds
        self._turns: Counter[str] = Counter()

    def one_of(self, role: str, rng: random.Random) -> Member:
        wait_until(lambda: self.members.of(role), timeout=60, message=f"no {role}")
        return rng.choice(self.members.of(role))

    def busy_worker(self, rng: random.Random, rather: str = "") -> tuple[Member, list[int], list[Line]]:
        """A worker that runs a job, its children that do, and what they run; an idle one if none does for a while.

        ``rather``: one that has just begun a job of this kind; the feeder is asked for two if there is none.
        """
        began, asked = time.monotonic(), False
        while True:
            waited = time.monotonic() - began
            choosy = bool(rather) and waited < 2 * _PATIENCE_SECONDS
            workers = self.members.of("worker")
            rng.shuffle(workers)
            workers.sort(key=self.members.is_paused)  # rather one that can still be hurt
            for member in workers:
                children = self.members.children(member)
                busy = [pid for pid in children if self._runs(pid, rather if choosy else "")]
                if busy or (children and waited > 3 * _PATIENCE_SECONDS):
                    return member, busy or children, self.fleet.running(busy)
            if choosy and not asked:
                asked = True
                self.ask_for(rather)
                self.ask_for(rather)
            if waited > _NO_WORKER_SECONDS:
                raise AssertionError("no worker was there for a minute")
            time.sleep(0.02)

    def in_turn(self, what: str, *kinds: str) -> str:
        """The next of these: not left to chance, so that a short run sees each."""
        self._turns[what] += 1
        return kinds[(self._turns[what] - 1) % len(kinds)]

    def ask_for(self, kind: str) -> None:
        """Have the feeder schedule it: see ``feeder.serve_requests``."""
        (self.fleet.directory / "requests" / f"{kind}-{time.time_ns()}").touch()

    def struck(self) -> int:
        """RUNNING jobs and held locks, waited for a while if there are none."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                count = history.struck(self.fleet.postgresql)
            except psycopg2.OperationalError:
                count = 0
            if count or time.monotonic() > deadline:
                return count
            time.sleep(0.02)

    def _runs(self, pid: int, kind: str) -> bool:
        """This child runs a job; of that kind, and not for long."""
        return any(not kind or _has_begun(line, kind) for line in self.fleet.running([pid]))


def _has_begun(line: Line, kind: str) -> bool:
    return line.kind == kind and time.time() - line.wall < LASTING_SECONDS / 3


def jobs(lines: list[Line]) -> str:
    return "".join(f", job {line.job} ({line.kind})" for line in lines)
