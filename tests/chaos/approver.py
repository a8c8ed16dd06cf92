"""The second person of the run: approves most of the jobs that wait for one, each after a while, and rejects some."""

import random
import time
from typing import Any

from tests.chaos.clients import Client
from tests.chaos.fleet import Fleet
from tests.chaos.record import Decision

_LOOK_SECONDS = 0.5
_WAITING = "/api/v1.0/jobs?filter[function_name]=guarded&filter[status]=SCHEDULED&per_page=1000"
_AFTER_SECONDS = (0.0, 6.0)  # through some of the faults
_REJECTED = 0.15
_TWICE = 0.2
_TIMEOUT = 10.0


class Approver(Client):
    """Looks for them as a person would, and says so until it is answered that it is done, or that it was already."""

    def __init__(self, fleet: Fleet, *, start: float, seed: int) -> None:
        super().__init__(fleet, start=start)
        self.decisions: list[Decision] = []
        self._rng = random.Random(seed)
        self._known: set[int] = set()
        self._due: list[tuple[float, int, str]] = []

    def run(self) -> None:
        while not self.stopping.wait(_LOOK_SECONDS):
            for job in self._waiting():
                action = "REJECT" if self._rng.random() < _REJECTED else "APPROVE"
                self._due.append((time.time() + self._rng.uniform(*_AFTER_SECONDS), job, action))
            now = time.time()
            due = [each for each in self._due if each[0] <= now]
            self._due = [each for each in self._due if each[0] > now]
            for at, job, action in due:
                if not self._decide(job, action):
                    self._due.append((at, job, action))
                elif self._rng.random() < _TWICE:
                    self._decide(job, action)

    def _waiting(self) -> list[int]:
        """Those that it has not seen yet. What was approved is SCHEDULED too until it starts."""
        status, answer = self.ask("GET", _WAITING, timeout=_TIMEOUT)
        listed: list[dict[str, Any]] = answer["data"]["jobs"] if status == 200 else []
        new = [int(job["id"]) for job in listed if job["id"] not in self._known]
        self._known.update(new)
        return new

    def _decide(self, job: int, action: str) -> bool:
        """False: it is to be said again."""
        status, _ = self.ask("PUT", f"/api/v1.0/job/{job}", {"action": action}, timeout=_TIMEOUT)
        self.decisions.append(Decision(job=job, action=action, at=time.time(), status=status))
        return status in (200, 400, 404)
