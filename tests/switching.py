"""Points this process's Django and Celery at another database or broker for the length of one test."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from celery import current_app
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connection, connections
from kombu import pools

from cnaasjobs.conf.parsing import database
from jobs.broker import publisher


def database_url() -> str:
    """The URL of the database that Django uses now, for the processes that a test starts."""
    current = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{current['NAME']}"
    password = f":{quote(current['PASSWORD'], safe='')}" if current["PASSWORD"] else ""
    return f"postgres://{current['USER']}{password}@{current['HOST']}:{current['PORT']}/{current['NAME']}"


def broker_url() -> str:
    return str(current_app.conf.broker_url)


@contextmanager
def on_database(url: str) -> Iterator[None]:
    """Django's default connection, in every thread, is to ``url`` inside."""
    earlier = connections.settings["default"]
    shared = {
        key: earlier[key]
        for key in ("ATOMIC_REQUESTS", "AUTOCOMMIT", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS", "TIME_ZONE", "TEST")
    }
    earlier_connection = connections["default"]
    connections.settings["default"] = connections.configure_settings({"default": {**shared, **database(url)}})[
        "default"
    ]
    del connections["default"]
    ContentType.objects.clear_cache()
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = earlier
        connections["default"] = earlier_connection
        ContentType.objects.clear_cache()


@contextmanager
def database_fails(*, asked_about: str = "") -> Iterator[None]:
    """Each statement of this thread that holds these words fails, as if the server were gone."""

    def away(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if asked_about in sql:
            raise OperationalError("server closed the connection")
        return execute(sql, *rest)

    with connection.execute_wrapper(away):
        yield


@contextmanager
def database_takes_no_writes() -> Iterator[None]:
    """On this thread's connection, outside of transactions: it can be read, as on a standby."""
    sqlite = connection.vendor == "sqlite"
    setting = "PRAGMA query_only = {}" if sqlite else "SET default_transaction_read_only = {}"
    with connection.cursor() as cursor:
        cursor.execute(setting.format("on"))
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(setting.format("off"))


@contextmanager
def on_broker(url: str) -> Iterator[None]:
    """Celery's broker in this process is ``url`` inside.

    To be entered before a test changes the setting itself: what that says now is Celery's again afterwards.
    """
    earlier = settings.CELERY_BROKER_URL
    _use_broker(url)
    try:
        yield
    finally:
        _use_broker(earlier)


def _use_broker(url: str) -> None:
    settings.CELERY_BROKER_URL = url
    if "CELERY_BROKER_URL" in os.environ:  # Celery reads this before its settings
        os.environ["CELERY_BROKER_URL"] = url
    current_app.conf.update(broker_url=url, broker_read_url=url, broker_write_url=url)
    forget_broker_connections()


def forget_broker_connections() -> None:
    """Forget failures and connections, so that a broker that was away, or another one, is tried anew."""
    publisher.drop()
    publisher._broken_until = 0.0
    pools.reset()  # type: ignore[no-untyped-call]
    current_app._pool = None
    current_app.amqp._producer_pool = None


def purge_broker(queues: list[str]) -> None:
    """Loses the messages that earlier tests left on these queues."""
    with current_app.connection_for_write(connect_timeout=3) as broker:
        for queue in queues:
            with broker.channel() as channel, suppress(*broker.channel_errors):  # a queue that was never declared
                channel.queue_purge(queue)
