"""The fleet of the chaos run: private services, and web, workers and Beats on hosts of their own."""

import contextlib
import queue
import shutil
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import history, inventory, mutants
from tests.chaos.hosts import Host
from tests.chaos.ledger import VARIABLE, Line, running_in
from tests.chaos.members import Member, Members
from tests.chaos.plan import PlannedJob
from tests.chaos.record import Outage, Remnant
from tests.services import PostgreSQL, RabbitMQ
from tests.services.base import free_port
from tests.services.managed import Managed
from tests.services.processes import ROOT, Platform
from tests.waiting import wait_until

_FILES = ("manage.py", "gunicorn.conf.py")
_LEFT_OUT = ("__pycache__", ".cache")
_START_SECONDS = 90.0
_SLOTS = 2  # of each worker


@dataclass
class Surely:
    """When an outage had certainly begun, and when its end was begun."""

    down: float = 0.0
    up: float = 0.0

    def lasts(self, seconds: float) -> None:
        self.down = time.time()
        time.sleep(seconds)
        self.up = time.time()


class Fleet:
    """Web and the events process have a host of their own, ``front``; each worker another; each Beat one of those."""

    def __init__(self, directory: Path, *, worker_lost_seconds: float, workers: int, beats: int, mutant: str) -> None:
        self.directory = directory
        self.ledger = directory / "ledger"
        self.postgresql = PostgreSQL(directory / "postgresql", settings={**PostgreSQL.fast, **history.SETTINGS})
        self.rabbitmq = RabbitMQ(directory / "rabbitmq")
        self.outages: list[Outage] = []
        self.remnants: list[Remnant] = []
        self.wanted_posts: queue.SimpleQueue[tuple[float, PlannedJob]] = queue.SimpleQueue()
        self._tree = directory / "source"
        _copy_source(self._tree)
        if mutant:
            mutants.apply(mutant, self._tree)
        for each in (self.ledger, directory / "requests"):
            each.mkdir()
        self.platform = Platform(
            database_url=self.postgresql.url,
            broker_url=self.rabbitmq.url,
            directory=directory,
            root=self._tree,
            env={
                "CNAASJOBS_TEST_JOBS": "tests.chaos.bodies",
                VARIABLE: str(self.ledger),
                "CNAASJOBS_WORKER_LOST_SECONDS": str(worker_lost_seconds),
                **inventory.write(directory / "inventory"),
            },
        )
        self.members = Members(self.platform)
        self.front = Host("front", self.postgresql, self.rabbitmq)
        self.back = [Host(f"host{number}", self.postgresql, self.rabbitmq) for number in range(1, workers + 1)]
        self._enlist(beats)

    def host(self, member: Member) -> Host:
        return next(host for host in self.hosts if host.name == member.host)

    @property
    def hosts(self) -> list[Host]:
        return [self.front, *self.back]

    def start(self) -> None:
        starts = [threading.Thread(target=service.start) for service in (self.postgresql, self.rabbitmq)]
        for thread in starts:
            thread.start()
        for thread in starts:
            thread.join()
        self.platform.manage("migrate", "--verbosity", "0", "--no-input")
        history.install(self.postgresql)
        self.members.start()
        wait_until(
            lambda: not self.members.missing(),
            timeout=_START_SECONDS,
            message=lambda: f"{self.members.missing()} not ready",
        )

    def stop(self) -> None:
        self.members.end_supervision()
        self.platform.kill()
        self.members.kill_children()
        for host in self.hosts:
            host.close()
        self.rabbitmq.kill()
        self.postgresql.kill()

    # --- who is in it -------------------------------------------------------------------------------------------------

    def _enlist(self, beats: int) -> None:
        port = free_port()

        def web() -> Managed:
            return self.platform.web(port=port, env=self.front.env, wait=False)

        def is_up(_: Managed) -> bool:
            return self.answers()

        enlist = self.members.all.append
        enlist(Member(role="web", name="web", host=self.front.name, start=web, is_ready=is_up))
        enlist(self._events())
        for number, host in enumerate(self.back, start=1):
            enlist(self._worker(f"w{number}", host))
            if number <= beats:
                enlist(self._beat(f"beat{number}", host))

    def _events(self) -> Member:
        port = free_port()

        def start() -> Managed:
            return self.platform.events(bind=f"127.0.0.1:{port}", env=self.front.env)

        def is_up(_: Managed) -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        return Member(role="events", name="events", host=self.front.name, start=start, is_ready=is_up)

    def _worker(self, name: str, host: Host) -> Member:
        def start() -> Managed:
            return self.platform.worker(name, concurrency=_SLOTS, env=host.env, wait=False)

        def is_up(process: Managed) -> bool:
            return " ready." in process.output()

        return Member(role="worker", name=name, host=host.name, start=start, is_ready=is_up, slots=_SLOTS)

    def _beat(self, name: str, host: Host) -> Member:
        def start() -> Managed:
            return self.platform.beat(name, env=host.env, wait=False)

        def is_up(process: Managed) -> bool:
            return "beat: Starting" in process.output()

        return Member(role="beat", name=name, host=host.name, start=start, is_ready=is_up)

    def answers(self) -> bool:
        """The web server is there."""
        return self.platform.get("/healthz", timeout=2)[0] == 200

    def post(self, jobs: Iterable[PlannedJob]) -> None:
        """Have them posted by HTTP, so many seconds from now."""
        for job in jobs:
            self.wanted_posts.put((time.time() + job.at, job))

    def running(self, pids: Iterable[int]) -> list[Line]:
        """The bodies that these processes run now."""
        found = (running_in(self.ledger / f"{pid}.jsonl") for pid in pids)
        return [line for line in found if line is not None]

    @contextlib.contextmanager
    def outage(self, component: str) -> Iterator[Surely]:
        since, surely = time.time(), Surely()
        try:
            yield surely
        finally:
            until = time.time()
            self.outages.append(
                Outage(component=component, since=since, until=until, down=surely.down or until, up=surely.up or until)
            )


def _copy_source(tree: Path) -> None:
    """So that neither a mutant nor an editor changes what the fleet runs."""
    tree.mkdir()
    for package in ROOT.glob("*/__init__.py"):
        name = package.parent.name
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for name in _FILES:
        shutil.copy(ROOT / name, tree / name)
