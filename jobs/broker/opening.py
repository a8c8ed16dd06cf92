"""Opens a connection to the broker in bounded time: each broker that CELERY_BROKER_URL lists is tried once, briefly.

The one that answered last is tried first, as Celery's own consumers stay where they are. So a process does not wait for
a dead broker again and again, and its messages go where those of the other processes go.
"""

from typing import Any

from celery import current_app
from kombu.exceptions import KombuError

_last_good: str | None = None


class BrokerUnavailable(Exception):
    """The broker did not take a message in time."""


def opened(seconds: float, *, confirm_publish: bool = False) -> Any:
    """A connection on which no wait is longer than ``seconds``. Raises the last broker's failure."""
    global _last_good
    urls = _urls()
    if _last_good in urls:
        urls.remove(_last_good)
        urls.insert(0, _last_good)
    for url in urls:
        connection = _prepared(url, seconds, confirm_publish)
        try:
            # kombu's connect() tries twice, two seconds apart: the caller who schedules a job must not wait for that.
            connection.ensure_connection(errback=_give_up, max_retries=1)
        except broker_errors():
            connection.collect()
            if url == urls[-1]:
                raise
        else:
            _last_good = url
            return connection
    raise BrokerUnavailable("CELERY_BROKER_URL names no broker")


def is_redis(connection: Any) -> bool:
    return bool(connection.transport.driver_type == "redis")


def broker_errors() -> tuple[type[Exception], ...]:
    """What a broker that is away, frozen or in trouble raises."""
    transport = current_app.connection_for_write().transport
    return (OSError, KombuError, *transport.connection_errors, *transport.channel_errors)


def _urls() -> list[str]:
    configured = current_app.conf.broker_write_url or current_app.conf.broker_url
    return configured.split(";") if isinstance(configured, str) else [*configured]


def _prepared(url: str, seconds: float, confirm_publish: bool) -> Any:
    connection = current_app.connection_for_write(url, connect_timeout=seconds, heartbeat=0)
    limits = ("socket_timeout", "socket_connect_timeout") if is_redis(connection) else ("read_timeout", "write_timeout")
    own = {"confirm_publish": True} if confirm_publish and not is_redis(connection) else {}
    connection.transport_options = {**connection.transport_options, **dict.fromkeys(limits, seconds), **own}
    return connection


def _give_up(exc: Exception, interval: float) -> None:
    raise exc
