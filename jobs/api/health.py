"""``/healthz`` (the process), ``/readyz`` (database, broker, a live worker, a live Beat): states only, no credentials.

Both answer before any other middleware looks at the request, and within 2 s whatever is frozen: each check runs in a
thread of its own, at most one at a time, and an answer waits for it no longer than ``ANSWER_SECONDS``.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from celery import current_app
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from kombu.connection import Connection
from kombu.exceptions import KombuError

from cnaasjobs.api.envelope import error_body, success_body
from cnaasjobs.db.clock import database_now
from cnaasjobs.db.not_now import not_now
from cnaasjobs.db.writable import takes_writes
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.liveness.watched import Watched
from jobs.models import Heartbeat

ANSWER_SECONDS: Final = 1.5
BROKER_SECONDS: Final = 1.0
NOWHERE: Final = "cnaasjobs.readyz"  # a queue that does not exist: the broker confirms the message and drops it

OK, AWAY, MISSING, UNKNOWN, NO_WRITES = "ok", "away", "missing", "unknown", "takes no writes"

States = dict[str, str]


class HealthMiddleware:
    """Answers the two URLs, and passes on every other."""

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
    lacking = [f"{name} {'' if state == NO_WRITES else 'is '}{state}" for name, state in states.items() if state != OK]
    if lacking:
        return JsonResponse({**error_body(", ".join(lacking)), "data": states}, status=503)
    return JsonResponse(success_body(states))


class Check:
    """A check that any number of requests share: whoever asks while it runs gets the result of that run."""

    def __init__(self, name: str, run: Callable[[], States], otherwise: States) -> None:
        self.name = name
        self.run = run
        self.otherwise = otherwise
        self._lock = threading.Lock()
        self._running: Future[States] | None = None

    def start(self) -> "Future[States]":
        with self._lock:
            if self._running is None:
                self._running = Future()
                threading.Thread(
                    target=self._work, args=(self._running,), name=f"readyz-{self.name}", daemon=True
                ).start()
            return self._running

    def finish(self, running: "Future[States]", deadline: float) -> States:
        try:
            return running.result(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return self.otherwise

    def _work(self, running: "Future[States]") -> None:
        try:
            states = self.run()
        except Exception as exc:  # noqa: BLE001  whatever a driver raises, "not ready" is the answer
            record(JobAction.READYZ_FAILED, exc=exc, check=self.name)
            states = self.otherwise
        with self._lock:
            self._running = None
        running.set_result(states)


def _database_states() -> States:
    """The database, and by their heartbeats in it the workers and Beats; on a new connection, as a new client would."""
    try:
        beats = list(Heartbeat.objects.filter(stopped_at=None).values_list("pk", "counter", "last_seen", "kind"))
        database_time, writable = database_now(), takes_writes()
    except Error as exc:
        if not not_now(exc):
            raise
        return _database.otherwise
    finally:
        connection.close()
    alive = _watched.alive((beat[:3] for beat in beats), now=time.monotonic(), database_time=database_time)
    kinds = {kind for pk, _, _, kind in beats if pk in alive}
    silent = MISSING if writable else UNKNOWN  # a heartbeat is a write
    return {
        "database": OK if writable else NO_WRITES,
        **{kind: OK if kind in kinds else silent for kind in ("worker", "beat")},
    }


def _broker_states() -> States:
    """One message that reaches no queue: a broker that is down, frozen or blocks its publishers does not confirm it."""
    broker = current_app.connection_for_write(connect_timeout=BROKER_SECONDS, heartbeat=0)
    try:
        if broker.transport.driver_type == "redis":
            _ask_redis(broker)
        else:
            _ask_amqp(broker)
    except (OSError, KombuError, *broker.connection_errors, *broker.channel_errors):
        return _broker.otherwise
    finally:
        broker.collect()  # without a farewell: a frozen broker would not answer it
    return {"broker": OK}


def _ask_redis(broker: Connection) -> None:
    broker.transport_options = {
        **(broker.transport_options or {}),
        "socket_timeout": BROKER_SECONDS,
        "socket_connect_timeout": BROKER_SECONDS,
        "retry_on_timeout": False,
    }
    channel: Any = broker.default_channel
    channel.client.ping()


def _ask_amqp(broker: Any) -> None:
    broker.transport_options = {
        **(broker.transport_options or {}),
        "confirm_publish": True,
        "read_timeout": BROKER_SECONDS,
        "write_timeout": BROKER_SECONDS,
    }
    broker.ensure_connection(errback=_give_up, max_retries=1)  # it would wait two seconds, and try again
    with broker.channel() as channel, broker.Producer(channel, auto_declare=False) as producer:
        producer.publish("", routing_key=NOWHERE, delivery_mode=1, confirm_timeout=BROKER_SECONDS)


def _give_up(exc: Exception, interval: float) -> None:
    raise exc


_watched = Watched()
_database = Check("database", _database_states, {"database": AWAY, "worker": UNKNOWN, "beat": UNKNOWN})
_broker = Check("broker", _broker_states, {"broker": AWAY})
