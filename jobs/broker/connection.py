"""A thread's own bounded connection to the broker, for what is not a job's message. It is kept while it works."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from amqp import Message
from amqp.exceptions import ChannelError

from cnaasjobs.conf import conf
from jobs.broker.opening import BrokerUnavailable, broker_errors, is_redis, opened

_NOWHERE: Final = "cnaasjobs.probe"  # a queue that does not exist: the broker confirms the message and drops it


class Broker:
    """Used by one thread at a time. What goes wrong is raised as BrokerUnavailable, and the connection is dropped."""

    def __init__(self, seconds: float | None = None) -> None:
        """No wait is longer than ``seconds``, which is CNAASJOBS_PUBLISH_TIMEOUT_SECONDS by default."""
        self._seconds = seconds
        self._connection: Any = None
        self._probing: Any = None

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A new channel, whose messages are confirmed."""
        with self._guarded():
            channel = self._connected().channel()
            try:
                yield channel
            finally:
                with suppress(Exception):  # an error may have closed it from the other side
                    channel.close()

    def depth(self, queue: str) -> int:
        """How many messages wait there; none if there is no such queue (never declared, or the broker was wiped)."""
        with self.channel() as channel:
            try:
                return int(channel.queue_declare(queue=queue, passive=True).message_count)
            except ChannelError as exc:
                if "404" in (str(exc.code), *map(str, exc.args)):
                    return 0
                raise

    def probe(self) -> None:
        """Have a message confirmed that reaches no queue: a broker that blocks its publishers does not do that.

        A connection that broke says little: the broker may have been restarted meanwhile. So a new one is tried then.
        """
        with self._guarded():
            if self._connection is not None:
                try:
                    self._ask()
                    return
                except TimeoutError:
                    raise
                except broker_errors():
                    self.drop()
            self._ask()
            self._ask()  # RabbitMQ still takes a connection's first message when it blocks its publishers

    def drop(self) -> None:
        """Without a farewell: a frozen broker would not answer it."""
        connection, self._connection, self._probing = self._connection, None, None
        if connection is not None:
            connection.collect()

    def _ask(self) -> None:
        connection = self._connected()
        if is_redis(connection):
            connection.default_channel.client.ping()
            return
        if self._probing is None:
            self._probing = connection.channel()
        message = Message(b"", delivery_mode=1)
        self._probing.basic_publish(message, routing_key=_NOWHERE, confirm_timeout=self._limit())

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except broker_errors() as exc:
            self.drop()
            raise BrokerUnavailable(f"{type(exc).__name__}: {exc}") from exc

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = opened(self._limit(), confirm_publish=True)
        return self._connection

    def _limit(self) -> float:
        return conf.publish_timeout_seconds if self._seconds is None else self._seconds
