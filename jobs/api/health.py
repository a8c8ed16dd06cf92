"""``/healthz`` (the process), ``/readyz`` (database, broker, a live worker, a live Beat): states only, no credentials.

Both answer before any other middleware sees the request, and within 2 s whatever is frozen: each check has its own
thread, and an answer waits for it no longer than ``ANSWER_SECONDS``. The thread keeps its connection: where a round
trip takes 200 ms, a new connection would take longer than that limit, and a database that works for everybody else
would look as if it were away.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final

from django.db import Error, connection, connections
from django.http import HttpRequest, HttpResponse, JsonResponse

from cnaasjobs.api.envelope import error_body, success_body
from cnaasjobs.db.bounded_waits import new_request
from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.db.not_now import not_now
from cnaasjobs.db.writable import commits_wait, takes_writes
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.broker.connection import Broker
from jobs.broker.opening import BrokerUnavailable
from jobs.liveness.life import not_stopped
from jobs.liveness.watched import Watched

ANSWER_SECONDS: Final = 1.5
BROKER_SECONDS: Final = 1.0
KINDS: Final = ("worker", "beat")

OK, AWAY, MISSING, UNKNOWN = "ok", "away", "missing", "unknown"
NO_WRITES, WAITS = "takes no writes", "waits for its standby"
_VERBS: Final = (NO_WRITES, WAITS)

States = dict[str, str]


class HealthMiddleware:
    """Answers these two URLs, and passes on all others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info.rstrip("/")
        if path == "/healthz":
            return JsonResponse(success_body({"process": OK}))
        if path == "/readyz":
            return _readyz()
        return self.get_response(request)


def _readyz() -> HttpResponse:
    deadline = time.monotonic() + ANSWER_SECONDS
    running = [check.start() for check in (_database, _broker)]
    states: States = {}
    for check, result in zip((_database, _broker), running, strict=True):
        states |= check.finish(result, deadline)
    lacking = [f"{name} {'' if state in _VERBS else 'is '}{state}" for name, state in states.items() if state != OK]
    if lacking:
        answer = JsonResponse({**error_body(", ".join(lacking)), "data": states}, status=503)
        answer._has_been_logged = True  # type: ignore[attr-defined]  # an answer to who asked, no error of the server
        return answer
    return JsonResponse(success_body(states))


class Check:
    """A check shared by any number of requests: those that ask while it runs get the result of that run."""

    def __init__(self, name: str, run: Callable[[], States], otherwise: States) -> None:
        self.name = name
        self.run = run
        self.otherwise = otherwise
        self._lock = threading.Lock()
        self._running: Future[States] | None = None
        self._asked: SimpleQueue[Future[States] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> "Future[States]":
        with self._lock:
            if self._thread is None:  # a daemon thread: one that hangs must not keep the process alive
                self._thread = threading.Thread(target=self._serve, name=f"readyz-{self.name}", daemon=True)
                self._thread.start()
            if self._running is None:
                self._running = Future()
                self._asked.put(self._running)
            return self._running

    def finish(self, running: "Future[States]", deadline: float) -> States:
        try:
            return running.result(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return self.otherwise

    def end(self) -> None:
        """Let its thread end, and its connection with it; the next request starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._asked.put(None)
            thread.join()

    def _serve(self) -> None:
        while (running := self._asked.get()) is not None:
            try:
                states = self.run()
            except Exception as exc:  # noqa: BLE001  whatever a driver raises, the answer is "not ready"
                record(JobAction.READYZ_FAILED, exc=exc, check=self.name)
                states = self.otherwise
            with self._lock:
                self._running = None
            running.set_result(states)
        connections.close_all()


def _database_states() -> States:
    """Checks the database, and the workers and Beats by their heartbeats in it."""
    new_request()
    rows = not_stopped().annotate(database_time=DatabaseNow())
    try:
        beats = list(rows.values_list("pk", "counter", "last_seen", "kind", "database_time"))
        database = OK if takes_writes() else NO_WRITES
        alive = _alive(beats)
        if database == OK and alive != {*KINDS} and commits_wait():
            database = WAITS
    except Error as exc:
        connection.close()
        if not not_now(exc):
            raise
        return _database.otherwise
    if database == NO_WRITES:
        connection.close()  # a new connection may lead to a server that takes writes
    silent = MISSING if database == OK else UNKNOWN  # a heartbeat is a write
    return {"database": database, **{kind: OK if kind in alive else silent for kind in KINDS}}


def _alive(beats: list[Any]) -> set[str]:
    """The kinds of processes of which one is alive."""
    seen = ((pk, counter, last_seen) for pk, counter, last_seen, _, _ in beats)
    alive = _watched.alive(seen, now=time.monotonic(), database_time=beats[0][-1]) if beats else set()
    return {kind for pk, _, _, kind, _ in beats if pk in alive} & {*KINDS}


def _broker_states() -> States:
    try:
        _way.probe()
    except BrokerUnavailable:
        return _broker.otherwise
    return {"broker": OK}


_watched = Watched()
_way = Broker(BROKER_SECONDS)
_database = Check("database", _database_states, {"database": AWAY, "worker": UNKNOWN, "beat": UNKNOWN})
_broker = Check("broker", _broker_states, {"broker": AWAY})
