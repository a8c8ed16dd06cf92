"""PostgreSQL: restarted, crashed, away, its connections cut; or it answers and takes no writes."""

import random
import signal

from tests.chaos.faults.ground import Ground, Kinds, Struck
from tests.chaos.plan import PlannedFault


class Database:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._fleet = ground.fleet
        self._server = ground.fleet.postgresql
        self.kinds: Kinds = {
            "PostgreSQL restarted": self.restarted,
            "PostgreSQL crashed": self.crashed,
            "PostgreSQL away": self.away,
            "PostgreSQL's connections cut": self.connections_cut,
            "PostgreSQL takes no writes": self.takes_no_writes,
        }

    def restarted(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck()
        with self._fleet.outage("database"):
            self._server.restart()
        return "fast", hits

    def crashed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck()
        process = self._server.process
        assert process is not None
        with self._fleet.outage("database"):
            process.signal(signal.SIGQUIT)
            process.wait()
            self._server.start()
        return "immediate", hits

    def away(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck()
        with self._fleet.outage("database") as surely:
            self._server.stop()
            surely.lasts(planned.seconds)
            self._server.start()
        return f"{planned.seconds:.1f} s", hits

    def connections_cut(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck()
        with self._fleet.outage("database"):
            self._server.cut_connections()
        return "", hits

    def takes_no_writes(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck()
        with self._fleet.outage("database") as surely:
            self._server.take_no_writes()
            surely.lasts(planned.seconds)
            self._server.take_writes_again()
        return f"{planned.seconds:.1f} s", hits
