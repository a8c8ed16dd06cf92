"""One process under a test's control: started with a log file, killed, frozen, thawed, stopped.

It ends with the test run, whatever happens to that.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from cnaasjobs.run import exec_child
from tests.services import preloading
from tests.waiting import wait_until

Process = preloading.Process

# The kernel ends a child with the thread that started it; this one lives as long as the test run.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


class Managed:
    """A process in a session of its own, with whatever it starts itself."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        preloaded: bool = False,
        errors: Path | None = None,
    ) -> None:
        """``preloaded``: it may begin in a copy of a process that has imported the packages, where it is the same.

        ``errors``: where its standard error goes; into the log by default.
        """
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output, (errors or log).open("ab") as second:
            begin: Callable[..., Process] = _start
            if preloaded and preloading.can_run(argv, env):
                begin = preloading.start
            outputs = {"output": output.fileno(), "errors": second.fileno()}
            self._popen = _starter.submit(begin, argv, env=env, cwd=cwd, user=user, **outputs).result()
        self.pid = self._popen.pid

    def __repr__(self) -> str:
        return f"<{self.name} pid {self.pid} {'running' if self.running else f'ended {self.returncode}'}>"

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tree(self) -> list[psutil.Process]:
        """The process and everything below it, parents first.

        Empty once it has ended: its number may have been reused.
        """
        if not self.running:
            return []
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def children(self) -> list[psutil.Process]:
        return self.tree()[1:]

    def signal(self, number: int) -> None:
        """To the process itself, not to its children."""
        if self.running:
            self._popen.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP to the process, then to its children, so that none can start another, until all stand still."""
        tree = self.tree()
        _signal_all(tree, signal.SIGSTOP)
        wait_until(lambda: all(map(_stands, tree)))

    def thaw(self) -> None:
        _signal_all(self.tree(), signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to the process alone; its children may go on."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def kill_tree(self) -> None:
        """SIGKILL to it and all that it started, children of a dead parent included."""
        tree = self.tree()
        self.signal(signal.SIGKILL)
        _signal_all([*tree, *self.orphans()], signal.SIGKILL)
        self._popen.wait()

    def orphans(self) -> list[psutil.Process]:
        """What is left of its session when it is gone."""
        if not self.running and psutil.pid_exists(self.pid):
            return []  # the number was reused, so nothing was left: a session keeps its leader's number
        found = []
        for pid in psutil.pids():
            with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
                if pid != self.pid and os.getsid(pid) == self.pid:
                    found.append(psutil.Process(pid))
        return found

    def wait(self, *, timeout: float = 30.0) -> int:
        """Its exit code; a negative one is the signal that ended it."""
        wait_until(
            lambda: not self.running, timeout=timeout, message=lambda: f"{self!r} still runs\n{self.output()[-2000:]}"
        )
        return self._popen.wait()

    def stop(self, *, timeout: float = 20.0) -> None:
        """SIGTERM and a wait; what is left after ``timeout`` seconds is killed."""
        self.thaw()
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill_tree()

    def wait_for_output(self, text: str, *, timeout: float = 30.0) -> None:
        def seen() -> bool:
            if not self.running:
                raise AssertionError(f"{self!r} before it printed {text!r}\n{self.output()[-4000:]}")
            return text in self.output()

        wait_until(seen, timeout=timeout, message=lambda: f"{self!r} did not print {text!r}\n{self.output()[-4000:]}")


def _signal_all(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _stands(process: psutil.Process) -> bool:
    """Each of its threads: one that another processor runs goes on for a moment."""
    try:
        return all(
            stat.read_text().rpartition(")")[2].split()[0] in "TtZX"
            for stat in Path(f"/proc/{process.pid}/task").glob("*/stat")
        )
    except (FileNotFoundError, ProcessLookupError):  # a thread has ended meanwhile
        return not process.is_running()


def _start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    user: str | None,
    output: int,
    errors: int,
) -> subprocess.Popen[bytes]:
    wrapper = [sys.executable, "-I", "-S", exec_child.__file__, "--parent", str(os.getpid())]
    if user:
        wrapper += ["--user", user]
    return subprocess.Popen(
        [*wrapper, "--", *argv],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )
