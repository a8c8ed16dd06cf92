"""Puts ``message_guard`` between the broker and kombu, and logs what was refused.

It must come before kombu makes a message object: doing so unpacks compressed content.
"""

import base64
import time
from binascii import Error as Base64Error
from collections import Counter
from collections.abc import Callable, Container, Mapping
from typing import Any, Final

from celery import bootsteps
from django.db import Error

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.broker import plain_tasks
from jobs.task import JobTask
from jobs.worker import unreadable
from jobs.worker.message_guard import MAX_BODY_BYTES, Received, Refusal, UnknownTask, check
from jobs.worker.unknown_task import end_if_unknown

_LOG_SECONDS: Final = 60.0


class GateStep(bootsteps.StartStopStep):
    """A step of the consumer: starts again with each connection to the broker, before the window."""

    label = "Gate"
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        gate = Gate(consumer.app, consumer.hostname)
        if consumer.connection.transport.driver_type == "amqp":
            guard_amqp(consumer.task_consumer, gate)
        else:
            guard_virtual(consumer.task_consumer, gate)


class Gate:
    """Decides which messages pass, and counts the others by reason."""

    def __init__(self, app: Any, hostname: str) -> None:
        jobs = frozenset(name for name, task in app.tasks.items() if isinstance(task, JobTask))
        self._jobs: Container[str] = jobs
        self._plain = frozenset(name for name in app.tasks if plain_tasks.is_allowed(name)) - jobs
        self._hostname = hostname
        self._refusals = RefusalLog()

    def passes(self, message: Received) -> bool:
        try:
            check(message, jobs=self._jobs, plain_tasks=self._plain)
        except UnknownTask as refusal:
            self._refusals.add(str(refusal))
            if refusal.job_id is not None:
                self._end_if_unknown(refusal.task, refusal.job_id)
            return False
        except Refusal as refusal:
            self._refusals.add(str(refusal))
            return False
        return True

    def refuse(self, reason: str) -> None:
        """Refuse what is not even a message."""
        self._refusals.add(reason)

    def _end_if_unknown(self, task: str, job_id: int) -> None:
        try:
            end_if_unknown(job_id, task_name=task, worker=self._hostname)
        except Error as exc:
            record(JobAction.UNKNOWN_TASK, exc=exc, task=task)


class RefusalLog:
    """Counts refusals by reason. Each reason is logged at once, and then at most once a minute, with its count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._recorded: dict[str, tuple[float, int]] = {}  # by reason: when it was logged last, and its count then

    def add(self, reason: str) -> None:
        self.counts[reason] += 1
        now, (at, before) = self._clock(), self._recorded.get(reason, (-_LOG_SECONDS, 0))
        if now - at >= _LOG_SECONDS:
            self._recorded[reason] = (now, self.counts[reason])
            record(JobAction.REFUSE_MESSAGE, reason=reason, messages=self.counts[reason] - before)


def guard_amqp(tasks: Any, gate: Gate) -> None:
    """Every raw message of this consumer goes through the gate first."""
    deliver = tasks._receive_callback

    def refuse(tag: int) -> None:
        gate.refuse("its envelope cannot be read")
        tasks.channel.basic_reject(tag, requeue=False)

    def guarded(raw: Any) -> None:
        properties = raw.properties
        if unreadable.MARK in properties:
            refuse(raw.delivery_tag)
            return
        message = Received(
            body=raw.body if isinstance(raw.body, bytes) else str(raw.body).encode("utf-8", "surrogatepass"),
            headers=properties.get("application_headers") or {},
            content_type=properties.get("content_type"),
            content_encoding=properties.get("content_encoding"),
        )
        if gate.passes(message):
            deliver(raw)
        else:
            tasks.channel.basic_reject(raw.delivery_tag, requeue=False)

    tasks._receive_callback = guarded
    unreadable.guard_deliveries(tasks.channel, refuse)


def guard_virtual(tasks: Any, gate: Gate) -> None:
    """Redis: what was fetched is gone from the queue, so a refused message only needs to be dropped."""
    channel = tasks.channel
    transport = channel.connection
    deliver = transport._deliver

    def guarded(raw: Any, queue: str) -> None:
        if queue not in ours or gate.passes(_received(raw)):
            deliver(raw, queue)

    ours = {queue.name for queue in tasks.queues}
    transport._deliver = guarded
    fetch = getattr(channel, "handlers", {}).get("BRPOP")
    if fetch is not None:
        channel.handlers["BRPOP"] = _survives(fetch, gate)


def _survives(fetch: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """Make ``fetch`` survive what is not JSON at all: kombu would raise in the worker's event loop, which would end."""

    def guarded(**options: Any) -> Any:
        try:
            return fetch(**options)
        except (ValueError, RecursionError) as exc:
            if not _from_kombus_reading(exc):
                raise
        gate.refuse("it is not a message")
        return True

    return guarded


def _from_kombus_reading(exc: BaseException) -> bool:
    """Whether it was raised while the text was parsed, not while the message was handled."""
    trace = exc.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "_deliver":
            return False
        trace = trace.tb_next
    return True


def _received(raw: Any) -> Received:
    """A message of a virtual transport, if it has the form of one."""
    nothing = Received(b"", None, None, None)
    if not isinstance(raw, Mapping) or not isinstance(raw.get("properties"), Mapping):
        return nothing
    properties, body = raw["properties"], raw.get("body")
    where = properties.get("delivery_info")
    if not (
        isinstance(body, str)
        and len(body) <= 2 * MAX_BODY_BYTES
        and properties.get("body_encoding") == "base64"
        and isinstance(properties.get("delivery_tag"), str)
        and isinstance(where, Mapping)
        and all(isinstance(where.get(key), str) for key in ("exchange", "routing_key"))
    ):
        return nothing
    try:
        decoded = base64.b64decode(body, validate=True)
    except (Base64Error, ValueError):
        return nothing
    return Received(decoded, raw.get("headers"), raw.get("content-type"), raw.get("content-encoding"))
