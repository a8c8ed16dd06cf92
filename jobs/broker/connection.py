"""A thread's own bounded connection to the broker, for everything but jobs' messages. It is kept while it works."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from amqp import Message
from amqp.exceptions import ChannelError

from cnaasjobs.conf import conf
from jobs.broker.opening import BrokerUnavailable, broker_errors, is_redis, opened

_NOWHERE: Final = "cnaasjobs.probe"  # a queue that does not exist: the broker confirms the message and drops it


class Broker:
    """Used by one thread at a time. Any failure is raised as BrokerUnavailable, and the connection is dropped."""

    def __init__(self, seconds: float | None = None) -> None:
        """``seconds`` is the longest that it waits for the broker: CNAASJOBS_PUBLISH_TIMEOUT_SECONDS by default."""
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
        """How many messages wait in the queue; 0 if it does not exist (never declared, or the broker was wiped)."""
        with self.channel() as channel:
            try:
                return int(channel.queue_declare(queue=queue, passive=True).message_count)
            except ChannelError as exc:
                if "404" in (str(exc.code), *map(str, exc.args)):
                    return 0
                raise

    def probe(self) -> None:
        """Let the broker take a message that reaches no queue: one that blocks its publishers does not confirm it.

        A broken connection says little: the broker may have been restarted meanwhile. In that case try a new one.
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
            self._ask()  # even when RabbitMQ blocks its publishers, it takes the first message of a connection

    def drop(self) -> None:
        """Close the connection without AMQP's closing handshake, which a frozen broker would not answer."""
        connection, self._connection, self._probing = self._connection, None, None
        if connection is not None:
            connection.collect()

    def _ask(self) -> None:
        connection = self._connected()
        if is_redis(connection):
            # A replica, or a server without memory or disk, answers a ping and takes no message. This command adds to a
            # list only if that exists.
            connection.default_channel.client.lpushx(_NOWHERE, "")
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
