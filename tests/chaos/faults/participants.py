"""Those who share the devices of one job: one of them, the first, or all killed, frozen, told to end."""

import random
import signal
import time

from tests.chaos import history
from tests.chaos.faults.ground import Ground, Kinds, Struck
from tests.chaos.faults.messages import Messages
from tests.chaos.ledger import Event, Line
from tests.chaos.members import Member
from tests.chaos.plan import PlannedFault

_SHARED, _TASK = "roll", "tests.chaos.bodies.roll"
_JOIN = "join"  # the second argument of an invitation
_COPIES = 4  # of each
_BEGIN_SECONDS = 16.0  # for a job
_HELP_SECONDS = 6.0  # for a second one to come
_ONE, _FIRST, _ALL = "one", "the first", "all"

Participant = tuple[Member, int, Line]  # its worker, its own process, the line with which its body began


class Participants:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._members = ground.members
        self.kinds: Kinds = {
            "participants killed": self.killed,
            "participants frozen": self.frozen,
            "participants told to end": self.told_to_end,
            "joins duplicated": self.joins_duplicated,
        }
        self._messages = Messages(ground.fleet.rabbitmq.url)

    def killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        who, struck = self._next("killed", rng)
        for _, pid, _ in struck:
            self._members.kill(pid)
        return _says(who, struck)

    def frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """With their workers, past the time after which they count as lost."""
        who, struck = self._next("frozen", rng)
        pids = {pid for member, _, _ in struck for pid in (member.pid, *self._members.children(member))}
        self._members.pause(pids, planned.seconds + self._ground.worker_lost_seconds)
        return _says(who, struck)

    def told_to_end(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """Their workers."""
        who, struck = self._next("told to end", rng)
        for member in {id(member): member for member, _, _ in struck}.values():
            self._members.tell_to_end(member, signal.SIGTERM)
        return _says(who, struck)

    def joins_duplicated(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """More invitations than anybody sent: to the job that runs, to those that wait and to those that have ended."""
        _, struck = self._next("invited", rng)
        jobs = history.of_kind(self._ground.fleet.postgresql, _SHARED)
        self._messages.send([(_TASK, (job, _JOIN)) for job in jobs * _COPIES])
        return f"{len(jobs)} jobs × {_COPIES}", len(struck)

    def _next(self, what: str, rng: random.Random) -> tuple[str, list[Participant]]:
        """Of one job: of as many as there are when they have had the time to become several."""
        who = self._ground.in_turn(what, _ONE, _FIRST, _ALL)
        if not self._of_one_job():
            self._ground.ask_for(_SHARED)
            deadline = time.monotonic() + _BEGIN_SECONDS
            while not self._of_one_job() and time.monotonic() < deadline:
                time.sleep(0.05)
        deadline = time.monotonic() + _HELP_SECONDS
        while len(found := self._of_one_job()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        rng.shuffle(found)
        first = [each for each in found if each[2].event is Event.BEGIN]
        return who, {_ONE: found[:1], _FIRST: first or found[:1], _ALL: found}[who]

    def _of_one_job(self) -> list[Participant]:
        """Those of the job that has the most, in no order."""
        jobs: dict[int, list[Participant]] = {}
        for member in self._members.of("worker"):
            for pid in self._members.children(member):
                for line in self._ground.fleet.running([pid]):
                    if line.kind == _SHARED:
                        jobs.setdefault(line.job, []).append((member, pid, line))
        return max(jobs.values(), key=len, default=[])


def _says(who: str, struck: list[Participant]) -> Struck:
    jobs = ", ".join(sorted({f"job {line.job}" for _, _, line in struck}))
    return f"{who} ({len(struck)}) of {jobs or 'none'}", len(struck)
