"""Workers and their children: killed, frozen, told to end."""

import random
import signal

from tests.chaos.faults.ground import Ground, Kinds, Struck, jobs
from tests.chaos.members import Member
from tests.chaos.plan import PlannedFault


class Workers:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._members = ground.members
        self.kinds: Kinds = {
            "child killed": self.child_killed,
            "child frozen": self.child_frozen,
            "worker killed": self.killed,
            "worker frozen": self.frozen,
            "worker's main process frozen": self.main_process_frozen,
            "worker told to end": self.told_to_end,
        }

    def child_killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, lines = self._ground.busy_worker(rng)
        line = rng.choice(lines)
        self._members.kill(line.pid)
        return f"{member.name}, child {line.pid}{jobs([line])}", 1

    def child_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, busy = self._ground.busy_worker(rng)
        pid = rng.choice(busy).pid
        self._members.pause([pid], planned.seconds)
        lines = self._ground.fleet.running([pid])
        return f"{member.name}, child {pid}, {planned.seconds:.1f} s{jobs(lines)}", len(lines)

    def killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, lines = self._ground.busy_worker(rng)
        self._members.kill(member.pid)
        return f"{member.name}{jobs(lines)}", len(lines)

    def frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, _ = self._ground.busy_worker(rng, self._lasting("worker", "blind", "campaign"))
        return self._freeze(member, [member.pid, *self._members.children(member)], planned.seconds)

    def main_process_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, _ = self._ground.busy_worker(rng, self._lasting("main process", "campaign", "blind"))
        return self._freeze(member, [member.pid], planned.seconds)

    def told_to_end(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, lines = self._ground.busy_worker(rng)
        self._members.tell_to_end(member, signal.SIGTERM)
        return f"{member.name}{jobs(lines)}", len(lines)

    def _lasting(self, what: str, *kinds: str) -> str:
        """A body with safe points shows that no further device begins; one without, that a late end does not count."""
        return self._ground.in_turn(what, *kinds)

    def _freeze(self, member: Member, pids: list[int], seconds: float) -> Struck:
        """Past its rescue: it finds its tokens gone when it goes on."""
        seconds += self._ground.worker_lost_seconds
        self._members.pause(pids, seconds)
        lines = self._ground.fleet.running(self._members.children(member))
        return f"{member.name}, {seconds:.1f} s{jobs(lines)}", len(lines)
