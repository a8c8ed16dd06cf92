"""The broker: restarted, emptied, away, frozen; its connections cut; its messages doubled."""

import random
import time
from collections.abc import Callable

import amqp

from tests.chaos import history
from tests.chaos.faults.ground import Ground, Kinds, Struck
from tests.chaos.faults.messages import Messages
from tests.chaos.plan import LASTING, PlannedFault

_BURST_SECONDS = 3.0
_COPIES = 3  # of each message, when messages are duplicated
_OTHER, _ANOTHER = "tests.chaos.bodies.short", "tests.chaos.bodies.urgent"
_QUEUE = "default"


class Broker:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._fleet = ground.fleet
        self._server = ground.fleet.rabbitmq
        self._messages = Messages(self._server.url)
        self.kinds: Kinds = {
            "broker restarted": self.restarted,
            "broker purged": self.purged,
            "broker wiped": self.wiped,
            "broker away": self.away,
            "broker frozen": self.frozen,
            "broker's connections cut": self.connections_cut,
            "messages duplicated": self.duplicated,
        }

    def restarted(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck(shared=True)
        with self._fleet.outage("broker"):
            self._server.restart()
        return "", hits

    def purged(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck(shared=True)
        self._burst()
        return f"{self._channel(lambda channel: channel.queue_purge(_QUEUE))} messages lost", hits

    def wiped(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck(shared=True)
        depth = self._burst()
        with self._fleet.outage("broker"):
            self._server.kill() if rng.random() < 0.5 else self._server.stop()
            self._server.erase()
            self._server.start()
        return f"{depth} messages lost", hits

    def away(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck(shared=True)
        with self._fleet.outage("broker") as surely:
            self._server.stop()
            surely.lasts(planned.seconds)
            self._server.start()
        return f"{planned.seconds:.1f} s", hits

    def frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck(shared=True)
        with self._fleet.outage("broker") as surely:
            self._server.freeze()
            surely.lasts(planned.seconds)
            self._server.thaw()
            self._server.wait_ready()
        return f"{planned.seconds:.1f} s", hits

    def connections_cut(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._ground.struck(shared=True)
        with self._fleet.outage("broker"):
            self._server.cut_connections()
        return "", hits

    def duplicated(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """While a job runs for some time: its copies arrive in the middle of it, those of others before their time.

        One more of each names another task, as a message would that somebody made by hand.
        """
        self._ground.busy_worker(rng, rng.choice(list(LASTING)))
        jobs = history.with_messages(self._fleet.postgresql)
        hits = self._ground.struck()
        foreign = [(_OTHER if task != _OTHER else _ANOTHER, (job,)) for job, task in jobs]
        self._messages.send([(task, (job,)) for job, task in jobs * _COPIES] + foreign)
        return f"{len(jobs)} jobs × {_COPIES}", hits

    def _burst(self) -> int:
        """Have the feeder fill the queue, so that there is something to lose. Returns the depth seen."""
        depth = self._depth()
        self._ground.ask_for("short")
        deadline = time.monotonic() + _BURST_SECONDS
        while depth == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
            depth = self._depth()
        return depth

    def _depth(self) -> int:
        return int(self._channel(lambda channel: channel.queue_declare(_QUEUE, passive=True).message_count))

    def _channel(self, use: Callable[[amqp.Channel], int]) -> int:
        with self._server.connect() as connection:
            return use(connection.channel())
