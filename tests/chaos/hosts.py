"""A host of the fleet: its ways to PostgreSQL and to RabbitMQ lead through relays, and fall silent when they are told.

A relay that is cut still takes what is sent to it, and answers keepalives: no end learns of anything from the network.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from tests.chaos.record import Cut
from tests.services import PostgreSQL, RabbitMQ
from tests.services.relay import Relay

KEEPALIVE_SECONDS = 25.0  # by then keepalives would have found a client gone, if the relay did not answer them


class Silence(StrEnum):
    """What does not arrive."""

    BOTH_WAYS = "both ways"
    QUESTIONS = "what the host sends"
    ANSWERS = "what it is answered"


class Host:
    """``env`` is for the processes that run on it."""

    def __init__(self, name: str, postgresql: PostgreSQL, rabbitmq: RabbitMQ) -> None:
        self.name = name
        self.database = Relay(postgresql.port)
        self.broker = Relay(rabbitmq.port)
        self.env = {
            "DATABASE_URL": self.database.url(postgresql.url),
            "CELERY_BROKER_URL": self.broker.url(rabbitmq.url),
        }
        self.cuts: list[Cut] = []

    def way(self, component: str) -> Relay:
        return self.database if component == "database" else self.broker

    @contextmanager
    def cut_off(self, component: str, silence: Silence = Silence.BOTH_WAYS, *, forget: bool = False) -> Iterator[None]:
        """While this lasts. Afterwards connections go on where they were; with ``forget`` none of them does: the host
        is told so with a reset, the service holds its ends for alive until its keepalives would find out.
        """
        way, since = self.way(component), time.time()
        way.cut(to_server=silence is not Silence.ANSWERS, to_client=silence is not Silence.QUESTIONS)
        with self.is_cut_off(component, since):
            try:
                yield
            finally:
                if forget:
                    way.reset_clients()
                way.heal()

    @contextmanager
    def is_cut_off(self, component: str, since: float) -> Iterator[None]:
        """Note it for the record."""
        try:
            yield
        finally:
            self.cuts.append(Cut(host=self.name, component=component, since=since, until=time.time()))

    def vanish(self) -> None:
        """Nothing of its connections moves any more."""
        self.broker.strand()
        self.database.strand()

    def is_forgotten(self) -> None:
        """The services find out about connections that no longer exist."""
        self.database.end_stranded()
        self.broker.end_stranded()

    def close(self) -> None:
        self.database.close()
        self.broker.close()
