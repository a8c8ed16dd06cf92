"""The faults, one method for each kind of the plan. Each says what it struck, and records what was down, and when."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import amqp
import psycopg2
from celery import Celery

from tests.chaos import history
from tests.chaos.fleet import Fleet, Member, Surely
from tests.chaos.ledger import Line
from tests.chaos.plan import LASTING, LASTING_SECONDS, PlannedFault
from tests.chaos.record import Fault
from tests.waiting import wait_until

_PATIENCE_SECONDS = 8.0  # for a process that runs a job, before an idle one is struck
_NO_WORKER_SECONDS = 90.0
_COPIES = 3  # of each message, when messages are duplicated
_OTHER, _ANOTHER = "tests.chaos.bodies.short", "tests.chaos.bodies.urgent"
_QUEUE = "default"

Struck = tuple[str, int]  # what, and how many RUNNING jobs and held locks it struck


class Injector:
    def __init__(self, fleet: Fleet, *, worker_lost_seconds: float) -> None:
        self.fleet = fleet
        self.injected: list[Fault] = []
        self._worker_lost_seconds = worker_lost_seconds
        self._turns: Counter[str] = Counter()
        self._celery = Celery(broker=fleet.rabbitmq.url, set_as_current=False)
        self._kinds: dict[str, Callable[[PlannedFault, random.Random], Struck]] = {
            "child killed": self._child_killed,
            "child frozen": self._child_frozen,
            "worker killed": self._worker_killed,
            "worker frozen": self._worker_frozen,
            "worker's main process frozen": self._main_process_frozen,
            "worker told to end": self._worker_told_to_end,
            "Beat killed": self._beat_killed,
            "Beats frozen": self._beats_frozen,
            "web killed": self._web_killed,
            "web frozen": self._web_frozen,
            "broker restarted": self._broker_restarted,
            "broker purged": self._broker_purged,
            "broker wiped": self._broker_wiped,
            "broker away": self._broker_away,
            "broker frozen": self._broker_frozen,
            "broker's connections cut": self._broker_cut,
            "messages duplicated": self._duplicated,
            "PostgreSQL restarted": self._postgresql_restarted,
            "PostgreSQL crashed": self._postgresql_crashed,
            "PostgreSQL away": self._postgresql_away,
            "PostgreSQL's connections cut": self._postgresql_cut,
        }

    def inject(self, planned: PlannedFault) -> Fault:
        rng = random.Random(planned.pick)
        at = time.time()
        target, hits = self._kinds[planned.kind](planned, rng)
        fault = Fault(kind=planned.kind, at=at, until=time.time(), target=target, hits=hits)
        self.injected.append(fault)
        return fault

    # --- workers ------------------------------------------------------------------------------------------------------

    def _busy_worker(self, rng: random.Random, rather: str = "") -> tuple[Member, list[int], list[Line]]:
        """A worker that runs a job, its children that do, and what they run; an idle one if none does for a while.

        ``rather``: one that has just begun a job of this kind; the feeder is asked for two if there is none.
        """
        began, asked = time.monotonic(), False
        while True:
            waited = time.monotonic() - began
            choosy = bool(rather) and waited < 2 * _PATIENCE_SECONDS
            workers = self.fleet.of("worker")
            rng.shuffle(workers)
            workers.sort(key=self.fleet.is_paused)  # rather one that can still be hurt
            for member in workers:
                children = self.fleet.children(member)
                busy = [pid for pid in children if self._runs(pid, rather if choosy else "")]
                if busy or (children and waited > 3 * _PATIENCE_SECONDS):
                    return member, busy or children, self.fleet.running(busy)
            if choosy and not asked:
                asked = True
                self._ask_for(rather)
                self._ask_for(rather)
            if waited > _NO_WORKER_SECONDS:
                raise AssertionError("no worker was there for a minute")
            time.sleep(0.02)

    def _in_turn(self, what: str, *kinds: str) -> str:
        """A body with safe points shows that no device is begun any more; one without, that a late end is none."""
        self._turns[what] += 1
        return kinds[(self._turns[what] - 1) % len(kinds)]

    def _runs(self, pid: int, kind: str) -> bool:
        """This child runs a job; of that kind, and not for long."""
        return any(not kind or _has_begun(line, kind) for line in self.fleet.running([pid]))

    def _ask_for(self, kind: str) -> None:
        (self.fleet.directory / "requests" / f"{kind}-{time.time_ns()}").touch()

    def _child_killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, children, _ = self._busy_worker(rng)
        pid = rng.choice(children)
        lines = self.fleet.running([pid])
        self.fleet.kill(pid)
        return f"{member.name}, child {pid}{_jobs(lines)}", len(lines)

    def _child_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, children, _ = self._busy_worker(rng)
        pid = rng.choice(children)
        self.fleet.pause([pid], planned.seconds)
        lines = self.fleet.running([pid])
        return f"{member.name}, child {pid}, {planned.seconds:.1f} s{_jobs(lines)}", len(lines)

    def _worker_killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, _, lines = self._busy_worker(rng)
        assert member.process is not None
        self.fleet.kill(member.process.pid)
        return f"{member.name}{_jobs(lines)}", len(lines)

    def _worker_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, _, _ = self._busy_worker(rng, self._in_turn("worker", "blind", "campaign"))
        assert member.process is not None
        children = self.fleet.children(member)
        return self._freeze(member, [member.process.pid, *children], planned.seconds)

    def _main_process_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, _, _ = self._busy_worker(rng, self._in_turn("main process", "campaign", "blind"))
        assert member.process is not None
        return self._freeze(member, [member.process.pid], planned.seconds)

    def _freeze(self, member: Member, pids: list[int], seconds: float) -> Struck:
        """Past its rescue: it finds its tokens gone when it goes on."""
        seconds += self._worker_lost_seconds
        self.fleet.pause(pids, seconds)
        lines = self.fleet.running(self.fleet.children(member))
        return f"{member.name}, {seconds:.1f} s{_jobs(lines)}", len(lines)

    def _worker_told_to_end(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member, _, lines = self._busy_worker(rng)
        assert member.process is not None
        member.draining = time.time()
        member.process.signal(signal.SIGTERM)
        return f"{member.name}{_jobs(lines)}", len(lines)

    # --- Beat and web -------------------------------------------------------------------------------------------------

    def _beat_killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member = self._one_of("beat", rng)
        hits = self._struck()
        assert member.process is not None
        self.fleet.kill(member.process.pid)
        return member.name, hits

    def _beats_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        members = self.fleet.of("beat")
        hits = self._struck()
        self.fleet.pause([member.process.pid for member in members if member.process is not None], planned.seconds)
        return f"all, {planned.seconds:.1f} s", hits

    def _web_killed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """Its main process, or one that answers requests."""
        member = self._one_of("web", rng)
        hits = self._struck()
        assert member.process is not None
        victim = rng.choice([member.process.pid, *self.fleet.children(member)])
        what = "main process" if victim == member.process.pid else "one of its processes"
        with self.fleet.outage("web"):
            self.fleet.kill(victim)
            wait_until(lambda: not self.fleet.is_running(victim))
            in_a_row = 0

            def settled() -> bool:
                nonlocal in_a_row
                in_a_row = in_a_row + 1 if member.entry is not None and self.fleet.answers() else 0
                return in_a_row >= 5

            wait_until(settled, timeout=60, interval=0.1, message="the web server did not come back")
        return what, hits

    def _web_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        member = self._one_of("web", rng)
        hits = self._struck()
        assert member.process is not None
        with self.fleet.outage("web"):
            self.fleet.pause([member.process.pid, *self.fleet.children(member)], planned.seconds)
            time.sleep(planned.seconds)
            wait_until(self.fleet.answers, timeout=30)
        return f"{planned.seconds:.1f} s", hits

    def _one_of(self, role: str, rng: random.Random) -> Member:
        wait_until(lambda: self.fleet.of(role), timeout=60, message=f"no {role}")
        return rng.choice(self.fleet.of(role))

    # --- broker -------------------------------------------------------------------------------------------------------

    def _broker_restarted(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._struck()
        with self.fleet.outage("broker"):
            self.fleet.rabbitmq.restart()
        return "", hits

    def _broker_purged(self, planned: PlannedFault, rng: random.Random) -> Struck:
        self._burst()
        hits = self._struck()
        return f"{self._channel(lambda channel: channel.queue_purge(_QUEUE))} messages lost", hits

    def _broker_wiped(self, planned: PlannedFault, rng: random.Random) -> Struck:
        depth = self._burst()
        hits = self._struck()
        with self.fleet.outage("broker"):
            self.fleet.rabbitmq.kill() if rng.random() < 0.5 else self.fleet.rabbitmq.stop()
            self.fleet.rabbitmq.erase()
            self.fleet.rabbitmq.start()
        return f"{depth} messages lost", hits

    def _broker_away(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._struck()
        with self.fleet.outage("broker") as surely:
            self.fleet.rabbitmq.stop()
            self._for(planned.seconds, surely)
            self.fleet.rabbitmq.start()
        return f"{planned.seconds:.1f} s", hits

    def _broker_frozen(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._struck()
        with self.fleet.outage("broker") as surely:
            self.fleet.rabbitmq.freeze()
            self._for(planned.seconds, surely)
            self.fleet.rabbitmq.thaw()
            self.fleet.rabbitmq.wait_ready()
        return f"{planned.seconds:.1f} s", hits

    def _broker_cut(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._struck()
        with self.fleet.outage("broker"):
            self.fleet.rabbitmq.cut_connections()
        return "", hits

    def _burst(self) -> int:
        """Have the feeder fill the queue, so that there is something to lose. Returns the depth seen."""
        depth = self._depth()
        self._ask_for("short")
        deadline = time.monotonic() + 3.0
        while depth == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
            depth = self._depth()
        return depth

    def _depth(self) -> int:
        return int(self._channel(lambda channel: channel.queue_declare(_QUEUE, passive=True).message_count))

    def _channel(self, use: Callable[[amqp.Channel], int]) -> int:
        with self.fleet.rabbitmq.connect() as connection:
            return use(connection.channel())

    def _duplicated(self, planned: PlannedFault, rng: random.Random) -> Struck:
        """While a job runs for some time: its copies arrive in the middle of it, those of others before their time.

        One more of each names another task, as a message would that somebody made by hand.
        """
        self._busy_worker(rng, rng.choice(list(LASTING)))
        jobs = history.with_messages(self.fleet.postgresql)
        hits = self._struck()
        with self._celery.connection_for_write() as connection, connection.Producer() as producer:
            foreign = [(job, _OTHER if task != _OTHER else _ANOTHER) for job, task in jobs]
            for job, task in jobs * _COPIES + foreign:
                self._celery.send_task(task, args=(job,), queue=_QUEUE, producer=producer, ignore_result=True)
        return f"{len(jobs)} jobs × {_COPIES}", hits

    # --- PostgreSQL ---------------------------------------------------------------------------------------------------

    def _postgresql_restarted(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._struck()
        with self.fleet.outage("database"):
            self.fleet.postgresql.restart()
        return "fast", hits

    def _postgresql_crashed(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._struck()
        process = self.fleet.postgresql.process
        assert process is not None
        with self.fleet.outage("database"):
            process.signal(signal.SIGQUIT)
            process.wait()
            self.fleet.postgresql.start()
        return "immediate", hits

    def _postgresql_away(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._struck()
        with self.fleet.outage("database") as surely:
            self.fleet.postgresql.stop()
            self._for(planned.seconds, surely)
            self.fleet.postgresql.start()
        return f"{planned.seconds:.1f} s", hits

    def _postgresql_cut(self, planned: PlannedFault, rng: random.Random) -> Struck:
        hits = self._struck()
        with self.fleet.outage("database"):
            self.fleet.postgresql.cut_connections()
        return "", hits

    @staticmethod
    def _for(seconds: float, surely: Surely) -> None:
        surely.down = time.time()
        time.sleep(seconds)
        surely.up = time.time()

    def _struck(self) -> int:
        """RUNNING jobs and held locks, waited for a while if there are none."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                count = history.struck(self.fleet.postgresql)
            except psycopg2.OperationalError:
                count = 0
            if count or time.monotonic() > deadline:
                return count
            time.sleep(0.02)


def _has_begun(line: Line, kind: str) -> bool:
    return line.kind == kind and time.time() - line.wall < LASTING_SECONDS / 3


def _jobs(lines: list[Line]) -> str:
    return "".join(f", job {line.job} ({line.kind})" for line in lines)
