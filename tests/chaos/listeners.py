"""Who listens to live events during the run: a reader of the stream, and an existing front end.

Both come and go, and now and then the first takes the events process with it. What each was told last of a job is
compared with the database in the end, and when it was told with the commits.
"""

import contextlib
import http.client
import json
import random
import time
from typing import Any

import psycopg2
import socketio

from tests.chaos.clients import Client
from tests.chaos.fleet import Fleet

_STAYS_SECONDS = (2.0, 15.0)
_AWAY_SECONDS = (0.0, 5.0)
_SILENT_SECONDS = 20.0  # the stream says something every 15 s
_RETRY_SECONDS = 0.5
_KILLS = 0.2  # of its leavings


class Listener(Client):
    name = ""

    def __init__(self, fleet: Fleet, *, start: float, seed: int) -> None:
        super().__init__(fleet, start=start)
        self.told: dict[int, str] = {}  # each job's status
        self.heard: dict[tuple[int, str], float] = {}  # when an event told of it first
        self.connections = 0
        self._rng = random.Random(seed)

    def run(self) -> None:
        while not self.stopping.is_set():
            until = time.monotonic() + self._rng.uniform(*_STAYS_SECONDS)
            with contextlib.suppress(OSError, http.client.HTTPException, socketio.exceptions.ConnectionError):
                self.listen(until)
            self.stopping.wait(max(_RETRY_SECONDS, self._rng.uniform(*_AWAY_SECONDS)))

    def listen(self, until: float) -> None:
        """Until then, or until the connection is lost."""
        raise NotImplementedError

    def knows(self, ended: dict[int, str]) -> bool:
        return all(self.told.get(job) == status for job, status in ended.items())

    def hear(self, job: int, status: str) -> None:
        self.heard.setdefault((job, status), time.time())
        self.told[job] = status

    def load(self) -> None:
        """All jobs anew, as a page does."""
        while not self.stopping.is_set():
            with contextlib.suppress(psycopg2.Error):
                self.told = dict(self.fleet.postgresql.execute("SELECT id, status FROM jobs_job"))
                return
            self.stopping.wait(_RETRY_SECONDS)


class StreamReader(Listener):
    """Server-Sent Events, resumed by the last position that it was told."""

    name = "stream"
    _position = ""

    def listen(self, until: float) -> None:
        address = self.fleet.platform.events_url.removeprefix("http://")
        with contextlib.closing(http.client.HTTPConnection(address, timeout=_SILENT_SECONDS)) as connection:
            headers = {"Last-Event-ID": self._position} if self._position else {}
            connection.request("GET", "/api/v1.0/events?kind=job", headers=headers)
            answer = connection.getresponse()
            self.connections += answer.status == 200
            event: dict[str, str] = {}
            while time.monotonic() < until and not self.stopping.is_set() and (line := answer.readline()):
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name:
                    event[name] = value
                else:
                    self._take(event)
                    event = {}
        if self._rng.random() < _KILLS:
            self._kill_the_process()

    def _take(self, event: dict[str, str]) -> None:
        if event.get("event") == "job":
            job = json.loads(event["data"])
            self.hear(job["id"], job["status"])
        elif event.get("event") == "reset":
            self.load()
        self._position = event.get("id") or self._position

    def _kill_the_process(self) -> None:
        for member in self.fleet.members.of("events"):
            self.fleet.members.kill(member.pid)


class FrontEnd(Listener):
    """socket.io. It reads its list when it is there again: what it missed for longer than ten seconds is not told."""

    name = "front end"

    def listen(self, until: float) -> None:
        client = socketio.Client(reconnection=False)
        client.on("events", self._take)
        try:
            client.connect(f"{self.fleet.platform.events_url}?jwt=null", wait_timeout=5)
            self.connections += 1
            client.emit("events", {"update": "job"})
            self.load()
            while client.connected and time.monotonic() < until and not self.stopping.wait(0.2):
                pass
        finally:
            client.disconnect()

    def _take(self, update: Any) -> None:
        self.hear(update["job_id"], update["status"])
