"""Sends messages to the broker: confirmed, and never longer than a moment.

A message says "look at job N" and nothing else, so nothing is lost when it cannot be sent: its row waits, and Beat
sends it later. A broker that is down, frozen or blocking must not hang the caller who schedules a job; after one
failure this process leaves the broker alone for a while.
"""

import functools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from celery import current_app
from celery.utils.nodenames import anon_nodename
from kombu.utils.uuid import uuid

from cnaasjobs.conf import conf
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.broker import queues
from jobs.broker.opening import BrokerUnavailable, broker_errors, is_redis, opened
from jobs.states import JOIN

_JOIN_SECONDS = 10  # a slot that was idle takes it at once, or none was
# Of Celery's 19, which take most of the time of making a message, and of reading it in the broker and in a worker. The
# others would say what a worker takes for granted without them: no group, no chain, no limits.
_HEADERS = ("lang", "task", "id", "expires", "argsrepr", "kwargsrepr", "origin")


@dataclass(frozen=True, slots=True)
class Message:
    """Look at this job."""

    job_id: int
    task_name: str
    queue: str
    priority: int  # 9 first
    joins: bool = False  # it runs already: help with its devices


class _Confirms:
    """Which messages of a channel the broker has confirmed. Waiting once for many of them costs one round trip."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._last_tag = 0
        self._open: dict[int, int] = {}  # delivery tag -> job id
        self.refused: list[int] = []
        channel.confirm_select()
        # py-amqp would poll for a "blocked" notice before each message; the wait for confirms reads that anyway.
        channel.connection.client_properties.get("capabilities", {}).pop("connection.blocked", None)
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)

    def sent(self, job_id: int) -> None:
        self._last_tag += 1
        self._open[self._last_tag] = job_id

    def wait(self, seconds: float) -> None:
        """Wait until all are confirmed; TimeoutError after this long without any confirm."""
        while self._open:
            self._channel.connection.drain_events(timeout=seconds)

    def unconfirmed(self) -> list[int]:
        job_ids = [*self.refused, *self._open.values()]
        self.refused, self._open = [], {}
        return job_ids

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:
        for tag in self._up_to(delivery_tag, multiple):
            self._open.pop(tag, None)

    def _on_nack(self, delivery_tag: int, multiple: bool = False, *_: Any) -> None:
        self.refused += [self._open.pop(tag) for tag in self._up_to(delivery_tag, multiple) if tag in self._open]

    def _up_to(self, delivery_tag: int, multiple: bool) -> list[int]:
        # Tags are in order, so those still on their way are not looked at.
        return list(takewhile(lambda tag: tag <= delivery_tag, self._open)) if multiple else [delivery_tag]


class _Link:
    """One thread's way to the broker."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.connection = opened(conf.publish_timeout_seconds)
        self.drop = weakref.finalize(self, _leave, self.connection, self.pid)  # at the latest when the thread ends
        self.redis = is_redis(self.connection)
        channel = self.connection.channel()
        self.confirms = None if self.redis else _Confirms(channel)
        self._amqp = current_app.amqp
        self._says_sent = current_app.conf.task_send_sent_event  # looking up a setting of Celery takes long
        self.producer = self._amqp.Producer(channel, auto_declare=False)
        self._origin = anon_nodename()
        self._declared: set[str] = set()

    def send(self, messages: Sequence[Message], meanwhile: Callable[[], object]) -> list[int]:
        """Send them all, then wait until the broker has confirmed them. Returns the ids of those it refused."""
        if self.confirms is None:
            with self.producer.batch():  # one pipeline, which fails as a whole
                for message in messages:
                    self._send(message)
            return []
        for message in messages:
            self.confirms.sent(message.job_id)
            self._send(message)
        meanwhile()
        self.confirms.wait(conf.publish_timeout_seconds)
        return self.confirms.unconfirmed()

    def _send(self, message: Message) -> None:
        """What ``send_task`` does, without its handling of options and routes: the row has all that is needed."""
        args = (message.job_id, JOIN) if message.joins else (message.job_id,)
        composed = self._amqp.create_task_message(
            uuid(),
            message.task_name,
            args,
            argsrepr=repr(args),
            kwargsrepr="{}",
            origin=self._origin,
            create_sent_event=self._says_sent,
            # On RabbitMQ it is the broker that drops it: its clock is not that of another host.
            expires=_JOIN_SECONDS if message.joins and self.redis else None,
        )
        said = composed.headers
        self._amqp.send_task_message(
            self.producer,
            message.task_name,
            composed._replace(
                headers={name: said[name] for name in _HEADERS if said[name] is not None}, body=(args, {}, {})
            ),
            queue=message.queue,
            priority=queues.for_broker(message.priority, redis=self.redis),
            declare=[] if message.queue in self._declared else None,
            retry=False,
            **({"expiration": _JOIN_SECONDS} if message.joins and not self.redis else {}),
        )
        self._declared.add(message.queue)


def _leave(connection: Any, pid: int) -> None:
    """Close the connection without AMQP's closing handshake, which a frozen broker would not answer."""
    if pid == os.getpid():  # otherwise it is the parent's, and this would shut down its socket
        connection.collect()


_local = threading.local()
_broken_until = 0.0  # monotonic seconds
_BATCH = 1000


def publish(messages: Iterable[Message], *, meanwhile: Callable[[], object] = lambda: None) -> list[int]:
    """Send the messages in order. Returns the ids of the jobs whose message the broker did not confirm.

    Args:
        meanwhile: called while confirms are on their way, once for each batch of messages; not called without messages.
    """
    pending = list(messages)
    unsent: list[int] = []
    while pending:
        batch, pending = pending[:_BATCH], pending[_BATCH:]
        try:
            unsent += _publish(batch, meanwhile)
        except BrokerUnavailable as exc:
            later = [message.job_id for message in pending]
            unsent += [message.job_id for message in batch] + later
            record(JobAction.PUBLISH_FAILED, messages=len(unsent), error=str(exc))
            break
    return unsent


def _publish(batch: Sequence[Message], meanwhile: Callable[[], object]) -> list[int]:
    global _broken_until
    if time.monotonic() < _broken_until:
        raise BrokerUnavailable("it failed a moment ago")
    once = functools.cache(meanwhile)  # although the batch may be sent again
    began, link = time.monotonic(), _kept_link()
    try:
        try:
            return (link or _new_link()).send(batch, once)
        except broker_errors():
            # A broker that was restarted has closed the connection that this thread kept, and is there again. One that
            # is down says so at once, too; one that does not answer has had its time. A message may be sent twice.
            drop()
            if link is None or time.monotonic() - began > conf.publish_timeout_seconds / 2:
                raise
            return _new_link().send(batch, once)
    except broker_errors() as exc:
        _broken_until = time.monotonic() + conf.publish_pause_seconds
        drop()
        raise BrokerUnavailable(f"{type(exc).__name__}: {exc}") from exc


def _kept_link() -> _Link | None:
    """This thread's connection. One that was inherited by a fork does not count: its socket is the parent's."""
    link: _Link | None = getattr(_local, "link", None)
    return link if link is not None and link.pid == os.getpid() else None


def _new_link() -> _Link:
    _local.link = link = _Link()
    return link


def drop() -> None:
    """Forget this thread's connection; the next message opens a new one."""
    link: _Link | None = getattr(_local, "link", None)
    _local.link = None
    if link is not None:
        link.drop()
