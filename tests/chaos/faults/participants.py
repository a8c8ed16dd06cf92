"""Processes that share the devices of one job: one of them, the first, or all are killed, frozen or told to end."""

import random
import signal
import time

from tests.chaos import history
from tests.chaos.faults.ground import Ground, Kinds, Participant, Struck
from tests.chaos.faults.messages import Messages
from tests.chaos.ledger import Event
from tests.chaos.plan import SHARED, PlannedFault

_TASK = f"tests.chaos.bodies.{SHARED}"
_JOIN = "join"  # the second argument of an invitation
_COPIES = 4  # of each
_HELP_SECONDS = 6.0  # for a second one to come
_ONE, _FIRST, _ALL = "one", "the first", "all"


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
        for _, line in struck:
            self._members.kill(line.pid)
        return _says(who, struck)

    def frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """With their workers, past the time after which they count as lost."""
        who, struck = self._next("frozen", rng)
        pids = {pid for member, _ in struck for pid in (member.pid, *self._members.children(member))}
        self._members.pause(pids, planned.seconds + self._ground.worker_lost_seconds)
        return _says(who, struck)

    def told_to_end(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """Their workers."""
        who, struck = self._next("told to end", rng)
        for member in {id(member): member for member, _ in struck}.values():
            self._members.tell_to_end(member, signal.SIGTERM)
        return _says(who, struck)

    def joins_duplicated(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """More invitations than anybody sent: to the job that runs, to those that wait and to those that have ended."""
        _, struck = self._next("invited", rng)
        jobs = history.of_kind(self._ground.fleet.postgresql, SHARED)
        self._messages.send([(_TASK, (job, _JOIN)) for job in jobs * _COPIES])
        return f"{len(jobs)} jobs × {_COPIES}", len(struck)

    def _next(self, what: str, rng: random.Random) -> tuple[str, list[Participant]]:
        """Of one job: of as many as there are when they have had the time to become several."""
        who = self._ground.in_turn(what, _ONE, _FIRST, _ALL)
        self._ground.wait_for(self._ground.participants, feed=SHARED)
        deadline = time.monotonic() + _HELP_SECONDS
        while len(found := self._ground.participants()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        rng.shuffle(found)
        first = [each for each in found if each[1].event is Event.BEGIN]
        return who, {_ONE: found[:1], _FIRST: first or found[:1], _ALL: found}[who]


def _says(who: str, struck: list[Participant]) -> Struck:
    jobs = ", ".join(sorted({f"job {line.job}" for _, line in struck}))
    return f"{who} ({len(struck)}) of {jobs or 'none'}", len(struck)
