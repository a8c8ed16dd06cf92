"""The clients of the run's web server: who posts syncs, who aborts, and who asks /readyz each second."""

import heapq
import http.client
import json
import random
import threading
import time
from pathlib import Path
from typing import Any

from tests.chaos.fleet import Fleet
from tests.chaos.plan import PlannedJob
from tests.chaos.record import Abort, Accepted, Post, Probe

_LOOK_SECONDS = 0.05
_RETRY_SECONDS = 1.0
_LATER_SECONDS = 20.0
_POST_TIMEOUT = 10.0
_PROBE_TIMEOUT = 5.0
_ABORT_AFTER_SECONDS = (0.0, 1.5)


class Client(threading.Thread):
    """A thread with the run's clock."""

    def __init__(self, fleet: Fleet, *, start: float) -> None:
        super().__init__(daemon=True)
        self.fleet = fleet
        self.start_time = start
        self.stopping = threading.Event()

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        try:
            status, answer, _ = self.fleet.platform.request(method, path, body, **options)
        except (http.client.HTTPException, ValueError):  # the server died in the middle of its answer
            return 0, None
        return status, answer

    def wait_for(self, at: float) -> bool:
        """Until that second of the run; False if it was ended before."""
        return not self.stopping.wait(max(self.start_time + at - time.time(), 0.0))


class Poster(Client):
    """Posts each sync until it is accepted, always with the same Idempotency-Key: planned ones, and what faults want.

    What was refused is repeated at once, or much later: by then a job that was stored all the same may have run. And
    what was accepted after a refusal is repeated once more, to hear the same again.
    """

    def __init__(self, fleet: Fleet, planned: list[PlannedJob], *, start: float, aborter: "Aborter", seed: int) -> None:
        super().__init__(fleet, start=start)
        self.posts: list[Post] = []
        self.accepted: list[Accepted] = []
        self._planned = list(planned)
        self._aborter = aborter
        self._rng = random.Random(seed)
        self._due = [(start + job.at, number) for number, job in enumerate(planned)]
        self._refused: set[int] = set()
        self._known: set[int] = set()  # accepted
        self._all_wanted = threading.Event()

    def that_was_all(self) -> None:
        """No fault wants any more."""
        self._all_wanted.set()

    def run(self) -> None:
        heapq.heapify(self._due)
        while self._due or not self._all_wanted.is_set():
            self._plan_wanted()
            if not self._due or self._due[0][0] > time.time():
                if self.stopping.wait(_LOOK_SECONDS):
                    return
                continue
            _, number = heapq.heappop(self._due)
            if (again := self._post(number)) is not None:
                heapq.heappush(self._due, (time.time() + again, number))

    def _plan_wanted(self) -> None:
        while not self.fleet.wanted_posts.empty():
            at, job = self.fleet.wanted_posts.get()
            heapq.heappush(self._due, (at, len(self._planned)))
            self._planned.append(job)

    def _post(self, number: int) -> float | None:
        """Returns after how many seconds it is to be repeated; None: never."""
        job, key = self._planned[number], f"sync-{number}"
        at, began = time.time(), time.monotonic()
        status, answer = self.ask(
            "POST",
            "/api/v1.0/device_syncto",
            {**job.arguments, "comment": key},
            headers={"Idempotency-Key": key},
            timeout=_POST_TIMEOUT,
        )
        seconds = time.monotonic() - began
        if status != 200:
            says = str(answer.get("message", "")) if isinstance(answer, dict) else ""
            self.posts.append(Post(at=at, seconds=seconds, status=status, key=key, says=says))
            self._refused.add(number)
            return self._rng.choice((_RETRY_SECONDS, _LATER_SECONDS))
        accepted = int(answer["job_id"])
        self.posts.append(Post(at=at, seconds=seconds, status=status, key=key, job=accepted))
        if number not in self._known:
            self._known.add(number)
            self.accepted.append(Accepted(job=accepted, kind="sync_devices", by="http", at=time.time()))
            if job.abort:
                self._aborter.soon(accepted)
        if number in self._refused:
            self._refused.discard(number)
            return _LATER_SECONDS
        return None


class Aborter(Client):
    """Aborts some of the jobs a moment after they were accepted: of the feeder's by its file, and those it is told."""

    def __init__(self, fleet: Fleet, *, start: float, seed: int) -> None:
        super().__init__(fleet, start=start)
        self.aborts: list[Abort] = []
        self._rng = random.Random(seed)
        self._due: list[tuple[float, int]] = []
        self._mutex = threading.Lock()
        self._feed = Accepts(fleet.directory)

    def soon(self, job: int) -> None:
        with self._mutex:
            self._due.append((time.time() + self._rng.uniform(*_ABORT_AFTER_SECONDS), job))

    def run(self) -> None:
        while not self.stopping.wait(0.1):
            for entry in self._feed.more():
                if entry["what"] == "accepted" and entry["abort"]:
                    self.soon(entry["job"])
            with self._mutex:
                now = time.time()
                due = [job for at, job in self._due if at <= now]
                self._due = [(at, job) for at, job in self._due if at > now]
            for job in due:
                status, _ = self.ask("PUT", f"/api/v1.0/job/{job}", {"action": "ABORT"}, timeout=_POST_TIMEOUT)
                self.aborts.append(Abort(job=job, at=time.time(), status=status))


class Prober(Client):
    """Asks /readyz each second."""

    def __init__(self, fleet: Fleet, *, start: float) -> None:
        super().__init__(fleet, start=start)
        self.probes: list[Probe] = []

    def run(self) -> None:
        second = 0
        while self.wait_for(second):
            at, began = time.time(), time.monotonic()
            status, answer = self.ask("GET", "/readyz", timeout=_PROBE_TIMEOUT)
            seconds = time.monotonic() - began
            states = answer.get("data") if isinstance(answer, dict) else None
            self.probes.append(Probe(at=at, seconds=seconds, status=status, states=states or {}))
            second = max(second + 1, int(time.time() - self.start_time))


class Accepts:
    """What the feeder has said so far; each entry once."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "accepted.jsonl"
        self._offset = 0

    def more(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]
