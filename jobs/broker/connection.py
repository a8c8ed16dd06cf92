"""A thread's own bounded connection to the broker, for what is not a job's message. It is kept while it works."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from amqp.exceptions import ChannelError
from celery import current_app
from kombu.exceptions import KombuError

from cnaasjobs.conf import conf
from jobs.broker.publisher import BrokerUnavailable


class Broker:
    """Used by one thread."""

    def __init__(self) -> None:
        self._connection: Any = None

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A new channel, whose messages are confirmed. What goes wrong there is raised as BrokerUnavailable."""
        try:
            connection = self._connected()
            channel = connection.channel()
            try:
                yield channel
            finally:
                with suppress(Exception):  # an error may have closed it from the other side
                    channel.close()
        except _errors() as exc:
            self.drop()
            raise BrokerUnavailable(f"{type(exc).__name__}: {exc}") from exc

    def depth(self, queue: str) -> int:
        """How many messages wait there; none if there is no such queue (never declared, or the broker was wiped)."""
        with self.channel() as channel:
            try:
                return int(channel.queue_declare(queue=queue, passive=True).message_count)
            except ChannelError as exc:
                if "404" in (str(exc.code), *map(str, exc.args)):
                    return 0
                raise

    def drop(self) -> None:
        """Without a farewell: a frozen broker would not answer it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.collect()

    def _connected(self) -> Any:
        if self._connection is None:
            seconds = conf.publish_timeout_seconds
            self._connection = current_app.connection_for_write(connect_timeout=seconds, heartbeat=0)
            redis = self._connection.transport.driver_type == "redis"
            limits = ("socket_timeout", "socket_connect_timeout") if redis else ("read_timeout", "write_timeout")
            own = {} if redis else {"confirm_publish": True}
            options = self._connection.transport_options
            self._connection.transport_options = {**options, **dict.fromkeys(limits, seconds), **own}
            self._connection.connect()
        return self._connection


def _errors() -> tuple[type[Exception], ...]:
    transport = current_app.connection_for_write().transport
    return (OSError, KombuError, *transport.connection_errors, *transport.channel_errors)
