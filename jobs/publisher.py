"""Sends messages to the broker: confirmed, and never longer than a moment.

A message says "look at job N" and nothing else, so one that cannot be sent is no loss: its row waits, and Beat sends it
later. A broker that is down, frozen or blocking must not hang whoever schedules a job; after one failure this process
leaves the broker alone for a while.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import current_app
from celery.app.amqp import Producer
from django.conf import settings
from kombu.connection import Connection
from kombu.exceptions import KombuError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """Look at this job."""

    job_id: int
    task_name: str
    queue: str
    priority: int  # 9 first


class BrokerUnavailable(Exception):
    """The broker did not take a message in time."""


class _Local(threading.local):
    pid: int | None = None
    connection: Connection | None = None
    producer: Producer | None = None


_local = _Local()
_broken_until = 0.0  # monotonic seconds


def publish(messages: Iterable[Message]) -> list[int]:
    """Send the messages in order. Returns the ids of the jobs whose message was not confirmed by the broker."""
    unsent: list[int] = []
    pending = list(messages)
    try:
        with producer() as channel:
            for sent, message in enumerate(pending):
                try:
                    _send(channel, message)
                except BaseException:
                    unsent = [later.job_id for later in pending[sent:]]
                    raise
    except BrokerUnavailable as exc:
        unsent = unsent or [message.job_id for message in pending]
        log.warning("broker unavailable, Beat will send %d messages: %s", len(unsent), exc, extra={"action": "publish"})
    return unsent


def _send(producer: Producer, message: Message) -> None:
    # Redis serves the lowest number first, AMQP the highest.
    redis = producer.connection.transport.driver_type == "redis"
    current_app.send_task(
        message.task_name,
        args=(message.job_id,),
        queue=message.queue,
        priority=9 - message.priority if redis else message.priority,
        producer=producer,
        retry=False,
        ignore_result=True,
        confirm_timeout=settings.CNAASJOBS_PUBLISH_TIMEOUT_SECONDS,
    )


@contextmanager
def producer() -> Iterator[Producer]:
    """This thread's producer. What goes wrong with the broker inside is raised as BrokerUnavailable."""
    global _broken_until
    if time.monotonic() < _broken_until:
        raise BrokerUnavailable("it failed a moment ago")
    try:
        yield _connected()
    except _broker_errors() as exc:
        _broken_until = time.monotonic() + settings.CNAASJOBS_PUBLISH_PAUSE_SECONDS
        _drop()
        raise BrokerUnavailable(f"{type(exc).__name__}: {exc}") from exc


def _broker_errors() -> tuple[type[Exception], ...]:
    transport = current_app.connection_for_write().transport
    errors: tuple[type[Exception], ...] = (*transport.connection_errors, *transport.channel_errors)
    return (OSError, KombuError, *errors)


def _connected() -> Producer:
    if _local.pid != os.getpid():  # inherited over a fork: another process talks on that socket
        _local.pid, _local.connection, _local.producer = os.getpid(), None, None
    if _local.producer is None:
        connection = current_app.connection_for_write(
            connect_timeout=settings.CNAASJOBS_PUBLISH_TIMEOUT_SECONDS,
            heartbeat=0,
            transport_options=_transport_options(),
        )
        _local.connection = connection
        connection.connect()
        _local.producer = current_app.amqp.Producer(connection, auto_declare=False)
    return _local.producer


def _transport_options() -> dict[str, Any]:
    seconds = settings.CNAASJOBS_PUBLISH_TIMEOUT_SECONDS
    options = dict(current_app.conf.broker_transport_options)
    if current_app.connection_for_write().transport.driver_type == "redis":
        return {**options, "socket_timeout": seconds, "socket_connect_timeout": seconds, "retry_on_timeout": False}
    return {**options, "confirm_publish": True, "read_timeout": seconds, "write_timeout": seconds}


def _drop() -> None:
    """Forget this thread's connection without a farewell: a frozen broker would not answer it."""
    if _local.connection is not None:
        _local.connection.collect()  # type: ignore[no-untyped-call]
    _local.connection = _local.producer = None
