"""What all faults need: the fleet, a target that is worth striking, and a count of what was struck."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

import psycopg2

from tests.chaos import history
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Line
from tests.chaos.members import Member
from tests.chaos.plan import LASTING_SECONDS, SHARED, PlannedFault
from tests.waiting import wait_until

_CHOOSY_SECONDS = 16.0  # for a job of the kind that is wanted, before any other is struck
_SITUATION_SECONDS = 240.0  # for something to strike; the faults before may have left locks held and workers frozen
_ASK_SECONDS = 1.0

T = TypeVar("T")
Participant = tuple[Member, Line]  # its worker, and the line with which its body began
Struck = tuple[str, int]  # what, and how many RUNNING jobs and held locks it struck
Kinds = Mapping[str, Callable[[PlannedFault, random.Random], Struck]]


class Ground:
    def __init__(self, fleet: Fleet, *, worker_lost_seconds: float) -> None:
        self.fleet = fleet
        self.members = fleet.members
        self.worker_lost_seconds = worker_lost_seconds
        self._turns: Counter[str] = Counter()

    def wait_for(self, situation: Callable[[], T], *, feed: str) -> T:
        """What a fault needs, so that it does not strike an idle fleet. The feeder makes it, with a job of this kind.

        Raises:
            AssertionError: in all that time the fleet did not come to run such a job.
        """
        asked = 0.0

        def found() -> T:
            nonlocal asked
            if not (it := situation()) and time.monotonic() - asked > _ASK_SECONDS:
                asked = time.monotonic()
                if not self._is_coming(feed):
                    self.ask_for(feed)
            return it

        return wait_until(found, timeout=_SITUATION_SECONDS, interval=0.02, message=f"no {feed} job to strike")

    def one_of(self, role: str, rng: random.Random) -> Member:
        wait_until(lambda: self.members.of(role), timeout=60, message=f"no {role}")
        return rng.choice(self.members.of(role))

    def busy_worker(self, rng: random.Random, rather: str = "") -> tuple[Member, list[Line]]:
        """A worker that runs jobs, and which.

        ``rather``: one that has just begun a job of this kind, if there is one soon; the feeder is asked for two.
        """
        began = time.monotonic()

        def busy() -> tuple[Member, list[Line]] | None:
            choosy = bool(rather) and time.monotonic() - began < _CHOOSY_SECONDS
            workers = self.members.of("worker")
            rng.shuffle(workers)
            workers.sort(key=self.members.is_paused)  # rather one that can still be hurt
            for member in workers:
                running = self.fleet.running(self.members.children(member))
                if lines := [line for line in running if not choosy or _has_begun(line, rather)]:
                    return member, lines
            return None

        if rather and busy() is None:
            self.ask_for(rather)
            self.ask_for(rather)
        found = self.wait_for(busy, feed="long")
        assert found is not None
        return found

    def participants(self) -> list[Participant]:
        """Of the job whose devices are shared by most, in no order; none if no such job runs."""
        jobs: dict[int, list[Participant]] = {}
        for member in self.members.of("worker"):
            for line in self.fleet.running(self.members.children(member)):
                if line.kind == SHARED:
                    jobs.setdefault(line.job, []).append((member, line))
        return max(jobs.values(), key=len, default=[])

    def in_turn(self, what: str, *kinds: str) -> str:
        """The next of these: not left to chance, so that a short run sees each."""
        self._turns[what] += 1
        return kinds[(self._turns[what] - 1) % len(kinds)]

    def ask_for(self, kind: str) -> None:
        """Have the feeder schedule it: see ``feeder.serve_requests``."""
        (self.fleet.directory / "requests" / f"{kind}-{time.time_ns()}").touch()

    def struck(self, *, shared: bool = False) -> int:
        """RUNNING jobs and held locks, one at least. ``shared``: with a job among them whose devices are rows."""
        if shared:
            self.wait_for(self.participants, feed=SHARED)
        return self.wait_for(self._count_struck, feed="long")

    def _count_struck(self) -> int:
        try:
            return history.struck(self.fleet.postgresql)
        except psycopg2.OperationalError:
            return 0

    def _is_coming(self, kind: str) -> bool:
        """The feeder has been asked for one, or one waits or runs."""
        if any(request.name.startswith(f"{kind}-") for request in (self.fleet.directory / "requests").iterdir()):
            return True
        try:
            return any(task.endswith(f".{kind}") for _, task, _ in history.unfinished(self.fleet.postgresql))
        except psycopg2.OperationalError:
            return False


def _has_begun(line: Line, kind: str) -> bool:
    return line.kind == kind and time.time() - line.wall < LASTING_SECONDS / 3


def jobs(lines: list[Line]) -> str:
    return "".join(f", job {line.job} ({line.kind})" for line in lines)
