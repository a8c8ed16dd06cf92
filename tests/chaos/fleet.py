"""The fleet of the chaos run, and its supervisor: what dies is started again; starts, deaths, pauses are recorded."""

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from tests.chaos import history, inventory, mutants
from tests.chaos.ledger import VARIABLE, Line, running_in
from tests.chaos.record import Death, Outage, Pause, Process
from tests.services import PostgreSQL, RabbitMQ
from tests.services.base import free_port
from tests.services.managed import Managed
from tests.services.processes import ROOT, Platform
from tests.waiting import wait_until

_SOURCE = ("cnaasjobs", "jobs", "locks", "devices", "tests", "manage.py", "gunicorn.conf.py")
_LOOK_SECONDS = 0.1
_CHILDREN_SECONDS = 0.4
_RESTART_SECONDS = 1.0  # as a supervisor of services would


@dataclass(kw_only=True)
class Member:
    """One place in the fleet: a process, and after its death another."""

    role: str
    name: str
    start: Callable[[], Managed]
    is_ready: Callable[[Managed], bool]
    slots: int = 0
    process: Managed | None = None
    spawned: float = 0.0
    entry: Process | None = None  # of the present process, once it is ready
    died: float = 0.0
    draining: float | None = None


@dataclass(kw_only=True)
class Seen:
    """What the harness did and saw, for the record."""

    processes: list[Process] = field(default_factory=list)
    children: dict[int, list[int]] = field(default_factory=dict)
    deaths: dict[int, float] = field(default_factory=dict)
    pauses: list[Pause] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)


@dataclass
class Surely:
    """When an outage had certainly begun, and when its end was begun."""

    down: float = 0.0
    up: float = 0.0


class Fleet:
    """Private services, web, workers and Beats, on a copy of the source."""

    def __init__(self, directory: Path, *, worker_lost_seconds: float, workers: int, beats: int, mutant: str) -> None:
        self.directory = directory
        self.ledger = directory / "ledger"
        self.postgresql = PostgreSQL(directory / "postgresql", settings={**PostgreSQL.fast, **history.SETTINGS})
        self.rabbitmq = RabbitMQ(directory / "rabbitmq")
        self.seen = Seen()
        self.members: list[Member] = []
        self.thaws: list[threading.Thread] = []
        self._paused: set[int] = set()
        self._workers, self._beats = workers, beats
        self._stopping = threading.Event()
        self._mutex = threading.RLock()
        self._web_port = free_port()
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

    def start(self) -> None:
        starts = [threading.Thread(target=service.start) for service in (self.postgresql, self.rabbitmq)]
        for thread in starts:
            thread.start()
        for thread in starts:
            thread.join()
        self.platform.manage("migrate", "--verbosity", "0", "--no-input")
        history.install(self.postgresql)
        self._enlist()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()
        wait_until(
            lambda: all(member.entry is not None for member in self.members),
            timeout=90,
            message=lambda: f"{[member.name for member in self.members if member.entry is None]} not ready",
        )

    def stop(self) -> None:
        self._stopping.set()
        self.platform.kill()
        for pid in [pid for pids in self.seen.children.values() for pid in pids]:
            if self.is_running(pid):
                os.kill(pid, signal.SIGKILL)
        self.rabbitmq.kill()
        self.postgresql.kill()

    def end_supervision(self) -> None:
        """The run is over: what dies from now on is not of interest."""
        self._stopping.set()
        self._supervisor.join()

    # --- members ------------------------------------------------------------------------------------------------------

    def of(self, role: str) -> list[Member]:
        """Those that are ready now."""
        return [member for member in self.members if member.role == role and member.entry is not None]

    def _enlist(self) -> None:
        platform = self.platform

        def web() -> Managed:
            return platform.web(port=self._web_port, wait=False)

        self.members.append(Member(role="web", name="web", start=web, is_ready=lambda _: self.answers()))
        for number in range(1, self._workers + 1):
            self._enlist_one("worker", f"w{number}", slots=2)
        for number in range(1, self._beats + 1):
            self._enlist_one("beat", f"beat{number}")

    def _enlist_one(self, role: str, name: str, slots: int = 0) -> None:
        def start() -> Managed:
            if role == "worker":
                return self.platform.worker(name, concurrency=slots, wait=False)
            return self.platform.beat(name, wait=False)

        says = " ready." if role == "worker" else "beat: Starting"
        self.members.append(
            Member(role=role, name=name, start=start, slots=slots, is_ready=lambda process: says in process.output())
        )

    def answers(self) -> bool:
        """The web server is there."""
        return self.platform.get("/healthz", timeout=2)[0] == 200

    # --- supervision --------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        looked = 0.0
        while not self._stopping.wait(_LOOK_SECONDS):
            for member in self.members:
                self._look_after(member)
            if time.monotonic() - looked > _CHILDREN_SECONDS:
                looked = time.monotonic()
                self._look_at_children()

    def _look_after(self, member: Member) -> None:
        now = time.time()
        process = member.process
        if process is None:
            if now - member.died >= _RESTART_SECONDS:
                member.spawned = time.time()
                member.process = member.start()
        elif not process.running:
            self._note_death(member, now)
        elif member.entry is None and member.is_ready(process):
            with self._mutex:
                member.entry = Process(
                    role=member.role,
                    name=f"{member.name}@{os.uname().nodename}",
                    pid=process.pid,
                    since=time.time(),
                    until=None,
                    spawned=member.spawned,
                    slots=member.slots,
                )

    def _note_death(self, member: Member, now: float) -> None:
        assert member.process is not None
        at = self._note_dead(member.process.pid, now)
        with self._mutex:
            if member.entry is not None:
                self.seen.processes.append(replace(member.entry, until=at, draining=member.draining))
            self.platform.processes.remove(member.process)
            member.process, member.entry, member.died, member.draining = None, None, now, None

    def _look_at_children(self) -> None:
        now = time.time()
        for member in self.of("worker"):
            known = self.seen.children.setdefault(self._pid(member), [])
            known += [pid for pid in self.children(member) if pid not in known]
        for pids in list(self.seen.children.values()):
            for pid in pids:
                if pid not in self.seen.deaths and not self.is_running(pid):
                    self._note_dead(pid, now)

    def _note_dead(self, pid: int, at: float) -> float:
        """The time of its death: of the fault that killed it if there was one."""
        with self._mutex:
            return self.seen.deaths.setdefault(pid, at)

    def children(self, member: Member) -> list[int]:
        if member.process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(member.process.pid).children()]
        return []

    @staticmethod
    def is_running(pid: int) -> bool:
        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    @staticmethod
    def _pid(member: Member) -> int:
        assert member.process is not None
        return member.process.pid

    # --- what faults do -----------------------------------------------------------------------------------------------

    def running(self, pids: Iterable[int]) -> list[Line]:
        """The bodies that these processes run now."""
        found = (running_in(self.ledger / f"{pid}.jsonl") for pid in pids)
        return [line for line in found if line is not None]

    def is_paused(self, member: Member) -> bool:
        return member.process is not None and member.process.pid in self._paused

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._note_dead(pid, time.time())
            os.kill(pid, signal.SIGKILL)

    def pause(self, pids: Iterable[int], seconds: float) -> None:
        """SIGSTOP now, SIGCONT from a thread of its own later."""
        stopped = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                since = time.time()
                os.kill(pid, signal.SIGSTOP)
                stopped.append((pid, since))
                self._paused.add(pid)

        def go_on() -> None:
            self._stopping.wait(seconds)
            for pid, since in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                self._paused.discard(pid)
                self.seen.pauses.append(Pause(pid=pid, since=since, until=time.time()))

        thread = threading.Thread(target=go_on)
        self.thaws.append(thread)
        thread.start()

    @contextlib.contextmanager
    def outage(self, component: str) -> Iterator["Surely"]:
        since, surely = time.time(), Surely()
        try:
            yield surely
        finally:
            until = time.time()
            self.seen.outages.append(
                Outage(component=component, since=since, until=until, down=surely.down or until, up=surely.up or until)
            )

    def recorded_processes(self) -> list[Process]:
        with self._mutex:
            alive = [replace(m.entry, draining=m.draining) for m in self.members if m.entry is not None]
            return [*self.seen.processes, *alive]

    def recorded_deaths(self) -> list[Death]:
        with self._mutex:
            return [Death(pid=pid, at=at) for pid, at in self.seen.deaths.items()]


def _copy_source(tree: Path) -> None:
    """So that neither a mutant nor somebody's editor changes what the fleet runs."""
    tree.mkdir()
    for name in _SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree / name)
