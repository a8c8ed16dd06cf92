"""Hosts: silently cut off from one service, in one direction or both; or gone for good inside a transaction."""

import random
import time
from contextlib import AbstractContextManager

import psycopg2

from tests.chaos import history
from tests.chaos.faults.ground import Ground, Kinds, Struck, jobs
from tests.chaos.hosts import KEEPALIVE_SECONDS, Host, Silence
from tests.chaos.ledger import Line
from tests.chaos.plan import PlannedFault
from tests.chaos.record import Remnant
from tests.waiting import wait_until

_COMMIT = b"COMMIT\x00"
_COMMIT_SECONDS = 15.0  # for a POST to come by
_WEB_SECONDS = 10.0  # for the web server to reach what it was cut off from
_REMNANT_SECONDS = 75.0


class Hosts:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._fleet = ground.fleet
        self._members = ground.members
        self.kinds: Kinds = {
            "host cut off from PostgreSQL": lambda planned, rng: self.host_cut_off("database", planned, rng),
            "host cut off from the broker": lambda planned, rng: self.host_cut_off("broker", planned, rng),
            "web cut off from PostgreSQL": lambda planned, rng: self.web_cut_off("database", planned, rng),
            "web cut off from the broker": lambda planned, rng: self.web_cut_off("broker", planned, rng),
            "web cut off in a COMMIT": self.web_cut_off_in_a_commit,
            "host vanished in a transaction": self.vanished,
        }

    def host_cut_off(self, component: str, planned: PlannedFault, rng: random.Random) -> Struck:
        """One with a worker, perhaps a Beat too: past the time after which it counts as lost."""
        rather = self._ground.in_turn(f"host, {component}", "campaign", "long")
        member, lines = self._ground.busy_worker(rng, rather)
        host = self._fleet.host(member)
        seconds = planned.seconds + self._ground.worker_lost_seconds
        silence, forget = self._next_silence()
        with self._cut_off(host, component, silence, forget=forget):
            time.sleep(seconds)
        return f"{host.name}, {_says(silence, forget=forget)}, {seconds:.1f} s{jobs(lines)}", len(lines)

    def web_cut_off(self, component: str, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck()
        silence, forget = self._next_silence()
        with self._fleet.outage(component) as surely:
            with self._cut_off(self._fleet.front, component, silence, forget=forget):
                surely.lasts(planned.seconds)
            self._wait_for_web()
        return f"{_says(silence, forget=forget)}, {planned.seconds:.1f} s", hits

    def web_cut_off_in_a_commit(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """The COMMIT of a request arrives, its answer does not, and a Beat has enough time to find the job."""
        hits = self._ground.struck()
        front = self._fleet.front
        with self._fleet.outage("database") as surely:
            front.database.cut_after(_COMMIT)
            self._fleet.post(planned.posts)
            try:
                wait_until(lambda: front.database.is_cut, timeout=_COMMIT_SECONDS, message="no request was committed")
                with front.is_cut_off("database", time.time()):
                    surely.lasts(planned.seconds)
            finally:
                front.database.heal()
            self._wait_for_web()
        return f"{planned.seconds:.1f} s", hits

    def vanished(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """Its processes vanish silently; the supervisor starts others, as on a newly installed host."""
        found = self._ground.wait_for(lambda: self._in_transaction(rng), feed="keeper")
        assert found is not None
        host, lines, held = found
        host.vanish()
        since, ports = time.time(), host.database.ports()
        for each in self._members.on(host.name):
            children = self._members.children(each)
            for pid in [each.pid, *children]:
                self._members.kill(pid)
        self._members.later(lambda: self._watch_what_is_left(host, since, ports))
        return f"{host.name}{jobs(lines)}, {held} locks", held

    def _in_transaction(self, rng: random.Random) -> tuple[Host, list[Line], int] | None:
        """A host whose transactions are open, its jobs, and how many locks it holds."""
        member, lines = self._ground.busy_worker(rng, "keeper")
        host = self._fleet.host(member)
        held = history.held_by(self._fleet.postgresql, host.database.ports())
        return (host, lines, held) if held else None

    def _watch_what_is_left(self, host: Host, since: float, ports: list[int]) -> None:
        """Until the server has given up what the host held, which nobody tells it to."""
        deadline = time.monotonic() + _REMNANT_SECONDS
        first, until = None, None
        while until is None and time.monotonic() < deadline:
            try:
                held = history.held_by(self._fleet.postgresql, ports)
            except psycopg2.OperationalError:  # a later fault: it asks again
                time.sleep(0.5)
                continue
            first = held if first is None else first
            if not held:
                until = time.time()
            time.sleep(0.2)
        self._fleet.remnants.append(Remnant(host=host.name, since=since, until=until, held=first or 0))
        host.is_forgotten()

    # --- how ----------------------------------------------------------------------------------------------------------

    def _next_silence(self) -> tuple[Silence, bool]:
        """And whether the connections are forgotten at its end."""
        forget = self._ground.in_turn("end", "go on", "forgotten") == "forgotten"
        return Silence(self._ground.in_turn("silence", *Silence)), forget

    def _cut_off(self, host: Host, component: str, silence: Silence, *, forget: bool) -> AbstractContextManager[None]:
        if forget:
            self._members.later(host.way(component).end_stranded, seconds=KEEPALIVE_SECONDS)
        return host.cut_off(component, silence, forget=forget)

    def _wait_for_web(self) -> None:
        """It may answer one request more from what it knew a moment ago."""
        deadline = time.monotonic() + _WEB_SECONDS
        while self._fleet.platform.get("/api/v1.0/jobs", timeout=2)[0] != 200 and time.monotonic() < deadline:
            time.sleep(0.1)


def _says(silence: Silence, *, forget: bool) -> str:
    return f"{silence}{', then forgotten' if forget else ''}"
