"""The processes of the fleet and their supervisor: what dies is restarted; starts, deaths and pauses are recorded."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import psutil

from tests.chaos.record import Death, Pause, Process
from tests.services.managed import Managed
from tests.services.processes import Platform

_LOOK_SECONDS = 0.1
_CHILDREN_SECONDS = 0.4
_RESTART_SECONDS = 1.0  # as a supervisor of services would


@dataclass(kw_only=True)
class Member:
    """One place in the fleet: a process, and after its death another."""

    role: str
    name: str
    host: str
    start: Callable[[], Managed]
    is_ready: Callable[[Managed], bool]
    slots: int = 0
    process: Managed | None = None
    spawned: float = 0.0
    entry: Process | None = None  # of the present process, once it is ready
    died: float = 0.0
    draining: float | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


@dataclass(kw_only=True)
class Seen:
    """What became of them."""

    processes: list[Process] = field(default_factory=list)
    children: dict[int, list[int]] = field(default_factory=dict)
    deaths: dict[int, float] = field(default_factory=dict)
    pauses: list[Pause] = field(default_factory=list)


class Members:
    def __init__(self, platform: Platform) -> None:
        self.seen = Seen()
        self.all: list[Member] = []
        self.pending: list[threading.Thread] = []
        self._platform = platform
        self._paused: set[int] = set()
        self._stopping = threading.Event()
        self._mutex = threading.RLock()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def start(self) -> None:
        self._supervisor.start()

    def end_supervision(self) -> None:
        """The run is over: deaths from now on do not matter."""
        self._stopping.set()
        if self._supervisor.is_alive():
            self._supervisor.join()

    def kill_children(self) -> None:
        """Those that outlived their worker."""
        for pid in [pid for pids in self.seen.children.values() for pid in pids]:
            if self.is_running(pid):
                os.kill(pid, signal.SIGKILL)

    def missing(self) -> list[str]:
        return [member.name for member in self.all if member.entry is None]

    def of(self, role: str) -> list[Member]:
        """Those that are ready now."""
        return [member for member in self.all if member.role == role and member.entry is not None]

    def on(self, host: str) -> list[Member]:
        """Those that run there now, ready or not."""
        return [member for member in self.all if member.host == host and member.process is not None]

    def children(self, member: Member) -> list[int]:
        if member.process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(member.pid).children()]
        return []

    @staticmethod
    def is_running(pid: int) -> bool:
        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def recorded_processes(self) -> list[Process]:
        with self._mutex:
            alive = [replace(m.entry, draining=m.draining) for m in self.all if m.entry is not None]
            return [*self.seen.processes, *alive]

    def recorded_deaths(self) -> list[Death]:
        with self._mutex:
            return [Death(pid=pid, at=at) for pid, at in self.seen.deaths.items()]

    # --- what faults do -----------------------------------------------------------------------------------------------

    def is_paused(self, member: Member) -> bool:
        return member.process is not None and member.pid in self._paused

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._note_dead(pid, time.time())
            os.kill(pid, signal.SIGKILL)

    def tell_to_end(self, member: Member, number: int) -> None:
        assert member.process is not None
        member.draining = time.time()
        member.process.signal(number)

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
            for pid, since in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                self._paused.discard(pid)
                self.seen.pauses.append(Pause(pid=pid, since=since, until=time.time()))

        self.later(go_on, seconds=seconds)

    def later(self, work: Callable[[], None], *, seconds: float = 0.0) -> None:
        """In a thread that the run waits for before it calls itself over."""

        def wait_and_do() -> None:
            self._stopping.wait(seconds)
            work()

        thread = threading.Thread(target=wait_and_do)
        self.pending.append(thread)
        thread.start()

    # --- supervision --------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        looked = 0.0
        while not self._stopping.wait(_LOOK_SECONDS):
            for member in self.all:
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
                    host=member.host,
                    pid=process.pid,
                    since=time.time(),
                    until=None,
                    spawned=member.spawned,
                    slots=member.slots,
                )

    def _note_death(self, member: Member, now: float) -> None:
        assert member.process is not None
        at = self._note_dead(member.pid, now)
        with self._mutex:
            if member.entry is not None:
                self.seen.processes.append(replace(member.entry, until=at, draining=member.draining))
            self._platform.processes.remove(member.process)
            member.process, member.entry, member.died, member.draining = None, None, now, None

    def _look_at_children(self) -> None:
        now = time.time()
        workers = {member.pid: self.seen.children.setdefault(member.pid, []) for member in self.of("worker")}
        for child in psutil.process_iter(["ppid"]):  # once for all of them: it looks at every process there is
            known = workers.get(child.info["ppid"])
            if known is not None and child.pid not in known:
                known.append(child.pid)
        for pids in list(self.seen.children.values()):
            for pid in pids:
                if pid not in self.seen.deaths and not self.is_running(pid):
                    self._note_dead(pid, now)

    def _note_dead(self, pid: int, at: float) -> float:
        """The time of its death: of the fault that killed it if there was one."""
        with self._mutex:
            return self.seen.deaths.setdefault(pid, at)
