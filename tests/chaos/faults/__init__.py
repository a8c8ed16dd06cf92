"""The faults, one method for each kind of the plan. Each says what it struck, and records what was down, and when."""

import random
import time

from tests.chaos.faults.beat_and_web import BeatAndWeb
from tests.chaos.faults.broker import Broker
from tests.chaos.faults.database import Database
from tests.chaos.faults.ground import Ground, Kinds
from tests.chaos.faults.hosts import Hosts
from tests.chaos.faults.participants import Participants
from tests.chaos.faults.workers import Workers
from tests.chaos.fleet import Fleet
from tests.chaos.plan import PlannedFault
from tests.chaos.record import Fault

_SECONDS = 240.0  # to strike something

_ROOMS = (Workers, BeatAndWeb, Broker, Database, Hosts, Participants)


class Injector:
    def __init__(self, fleet: Fleet, *, worker_lost_seconds: float) -> None:
        self.injected: list[Fault] = []
        ground = Ground(fleet, worker_lost_seconds=worker_lost_seconds)
        self.kinds: Kinds = {kind: inject for room in _ROOMS for kind, inject in room(ground).kinds.items()}

    def inject(self, planned: PlannedFault) -> Fault:
        """Again if it struck nothing: what it was aimed at may have ended at that very moment."""
        rng = random.Random(planned.pick)
        began = time.monotonic()
        while not (fault := self._strike(planned, rng)).hits and time.monotonic() - began < _SECONDS:
            continue
        return fault

    def _strike(self, planned: PlannedFault, rng: random.Random) -> Fault:
        at = time.time()
        target, hits = self.kinds[planned.kind](planned, rng)
        fault = Fault(kind=planned.kind, at=at, until=time.time(), target=target, hits=hits)
        self.injected.append(fault)
        return fault
