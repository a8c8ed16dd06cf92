"""Beats and the web server: killed and frozen."""

import random
import time

from tests.chaos.faults.ground import Ground, Kinds, Struck
from tests.chaos.plan import PlannedFault
from tests.waiting import wait_until


class BeatAndWeb:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._fleet = ground.fleet
        self._members = ground.members
        self.kinds: Kinds = {
            "Beat killed": self.beat_killed,
            "Beats frozen": self.beats_frozen,
            "web killed": self.web_killed,
            "web frozen": self.web_frozen,
        }

    def beat_killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member = self._ground.one_of("beat", rng)
        hits = self._ground.struck()
        self._members.kill(member.pid)
        return member.name, hits

    def beats_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck()
        self._members.pause([member.pid for member in self._members.of("beat")], planned.seconds)
        return f"all, {planned.seconds:.1f} s", hits

    def web_killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """Its main process, or one that answers requests."""
        member = self._ground.one_of("web", rng)
        hits = self._ground.struck()
        main = member.pid
        victim = rng.choice([main, *self._members.children(member)])
        with self._fleet.outage("web"):
            self._members.kill(victim)
            wait_until(lambda: not self._members.is_running(victim))
            in_a_row = 0

            def settled() -> bool:
                nonlocal in_a_row
                in_a_row = in_a_row + 1 if member.entry is not None and self._fleet.answers() else 0
                return in_a_row >= 5

            wait_until(settled, timeout=60, interval=0.1, message="the web server did not come back")
        return "main process" if victim == main else "one of its processes", hits

    def web_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member = self._ground.one_of("web", rng)
        hits = self._ground.struck()
        with self._fleet.outage("web"):
            self._members.pause([member.pid, *self._members.children(member)], planned.seconds)
            time.sleep(planned.seconds)
            wait_until(self._fleet.answers, timeout=30)
        return f"{planned.seconds:.1f} s", hits
