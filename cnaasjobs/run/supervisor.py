"""Starts processes, restarts each that ends, and finally ends them all, so that none stays behind.

Why we use no library: docs/decisions/0005-a-supervisor-of-our-own.md.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

import psutil

from cnaasjobs.run import exec_child
from cnaasjobs.run.caller import Callers

PR_SET_CHILD_SUBREAPER = 36
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 30.0  # a process that ran this long is restarted at once
PATIENCE_SECONDS = 4.0
KILL_SECONDS = 5.0

Say = Callable[[str], None]


class Inherited:
    """The part of ``subprocess.Popen`` that is needed here, for a child that another process began."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


@dataclass(slots=True)
class Program:
    """One process to keep running. ``grace_seconds``: how long it may take to end after SIGTERM."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str]
    grace_seconds: float = 10.0
    pass_fds: Sequence[int] = ()
    is_foundation: bool = False  # the others need it, so it ends after them
    process: subprocess.Popen[bytes] | Inherited | None = field(default=None, init=False)
    started: float = field(default=0.0, init=False)
    pause: float = field(default=0.0, init=False)
    due: float = field(default=0.0, init=False)

    def start(self, cwd: Path) -> None:
        wrapper = [sys.executable, "-I", "-S", exec_child.__file__, "--parent", str(os.getpid()), "--"]
        with self.log.open("ab") as output:
            # In a session of its own: Ctrl-C reaches only the supervisor, which ends the others in order.
            self.process = subprocess.Popen(
                [*wrapper, *self.argv],
                cwd=cwd,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=self.pass_fds,
            )
        self.started = time.monotonic()

    def inherit(self, pid: int) -> None:
        """The program already runs, as the child of ours with this number."""
        self.process, self.started = Inherited(pid), time.monotonic()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill_group(self) -> None:
        """Send SIGKILL to what it left behind, or to it and all that it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def fate(self) -> str:
        code = (self.process and self.process.returncode) or 0
        return f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"


class Supervisor:
    """Runs in the main thread, which must live as long as the children: the kernel ends them with it."""

    def __init__(self, *, cwd: Path, say: Say) -> None:
        self.cwd = cwd
        self.say = say
        self.programs: list[Program] = []
        self._stopping = threading.Event()
        self._callers = Callers()
        self._signals = 0
        # A signal handler may wake the main thread only by this: the lock of an Event may be held by the very code that
        # the signal interrupted, which would then wait for itself.
        self._happened: SimpleQueue[None] = SimpleQueue()
        if sys.platform == "linux":  # children of a dead child become ours, and are ended with the rest
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        is_under_nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # then it goes on without the terminal
        for number in (signal.SIGINT, signal.SIGTERM, *([] if is_under_nohup else [signal.SIGHUP])):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: self._happened.put(None))

    def _on_signal(self, *_: object) -> None:
        self._signals += 1
        self._happened.put(None)

    @property
    def stopping(self) -> threading.Event:
        """For other threads to wait on. It is set here, when the main thread, which gets the signals, calls this."""
        if self._signals:
            self._stopping.set()
        return self._stopping

    def add(self, program: Program, pid: int | None = None) -> None:
        """``pid``: the process number, if a child of ours already runs the program."""
        if pid is None:
            program.start(self.cwd)
        else:
            program.inherit(pid)
        self.programs.append(program)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Keeps everything running until the condition is true; False if the time is up or a signal came."""
        deadline = time.monotonic() + seconds
        while not self.stopping.is_set():
            if condition():
                return True
            if time.monotonic() > deadline:
                return False
            self.keep_running(0.05)
        return False

    def run(self) -> None:
        """Returns when a signal asks for the end."""
        while not self.stopping.is_set():
            self.keep_running(1.0)

    def keep_running(self, seconds: float) -> None:
        """Waits at most this long for something to happen, then restarts what has ended."""
        self._pause(seconds)
        if self._callers.want_the_end():
            self.stopping.set()
        now = time.monotonic()
        for program in self.programs:
            if program.process is not None and not program.is_running:
                self._ended(program, now)
            if program.process is None and now >= program.due and not self.stopping.is_set():
                program.start(self.cwd)
        self._reap_orphans()

    def _pause(self, seconds: float) -> None:
        """Until something happens, at most this long."""
        with contextlib.suppress(Empty):
            self._happened.get(timeout=seconds)
            for _ in range(self._happened.qsize()):
                self._happened.get_nowait()

    def _ended(self, program: Program, now: float) -> None:
        program.kill_group()
        steady = now - program.started >= STEADY_SECONDS
        program.pause = 0.0 if steady else min(max(program.pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        program.due = now + program.pause
        again = f"again in {program.pause:g} s" if program.pause else "again now"
        self.say(f"{program.name} {program.fate()}, starting it {again} (its log: {program.log})")
        program.process = None

    def _reap_orphans(self) -> None:
        """Asks the kernel what has ended: looking at every process would cost more than all else that is done here."""
        if sys.platform != "linux":  # elsewhere we inherit no orphans
            return
        ours = {program.process.pid for program in self.programs if program.process is not None}
        ended = os.WEXITED | os.WNOHANG
        with contextlib.suppress(ChildProcessError):
            while (child := os.waitid(os.P_ALL, 0, ended | os.WNOWAIT)) and child.si_pid not in ours:
                os.waitid(os.P_PID, child.si_pid, ended)

    def stop(self) -> None:
        """Ends everything in order. A second signal ends everything at once."""
        self.stopping.set()
        for is_foundation in (False, True):
            self._stop([program for program in self.programs if program.is_foundation is is_foundation])
        self._end_the_rest()

    def _stop(self, programs: Sequence[Program]) -> None:
        for program in programs:
            if program.process is not None and program.is_running:
                program.process.terminate()
        now = time.monotonic()
        deadline = now + max((program.grace_seconds for program in programs), default=0)
        patience = now + PATIENCE_SECONDS
        while self._signals < 2 and (running := [program.name for program in programs if program.is_running]):
            if time.monotonic() > deadline:
                break
            if time.monotonic() > patience:
                self.say(f"Waiting for {', '.join(running)} to finish; Ctrl-C again stops everything at once")
                patience = deadline + 1
            self._pause(0.1)
        for program in programs:
            program.kill_group()
        killed = time.monotonic() + KILL_SECONDS
        while any(program.is_running for program in programs) and time.monotonic() < killed:
            self._pause(0.1)

    def _end_the_rest(self) -> None:
        """Nothing that was started may stay, even in a process group or session of its own."""
        left = psutil.Process().children(recursive=True)
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=KILL_SECONDS)
