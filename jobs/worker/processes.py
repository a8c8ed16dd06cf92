"""The pool's processes and what their jobs start.

Each child leads a process group, so that nothing outlives its job.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable
from typing import Any, Final

import psutil
from billiard.common import human_status

UNKNOWN: Final = "unknown exit status"

_PR_SET_PDEATHSIG: Final = 1
_main_pid: int | None = None
_is_child = False


def remember_main() -> None:
    """In the main process, before the pool forks."""
    global _main_pid
    _main_pid = os.getpid()


def become_child() -> None:
    """In a new child of the pool, before it takes its first message."""
    global _is_child
    if os.getpid() == _main_pid:  # Celery's solo pool
        return
    _is_child = True
    with contextlib.suppress(OSError):  # it already leads its own session
        os.setpgid(0, 0)
    if sys.platform == "linux":
        # A parent that was killed must leave no process behind that still changes devices. Celery requests the same,
        # but in vain where the C library has another name. The main thread forks, so the signal comes at the end of the
        # process.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if _main_pid is not None and os.getppid() != _main_pid:
        os._exit(1)


def is_child() -> bool:
    """Whether this is a process of the pool. (Celery's solo and threads pools run bodies in the main process.)"""
    return _is_child


def exit_status(pid: int, children: Iterable[Any]) -> str | None:
    """How this child ended, in words; None while it is alive. Collecting it is left to billiard.

    ``children``: billiard's process objects, which know the status of a child that was already collected.
    """
    if not hasattr(os, "waitid"):
        return None if _lives(pid) else UNKNOWN
    try:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        codes = [child._popen.returncode for child in children if child.pid == pid and child._popen is not None]
        return str(human_status(codes[0])) if codes and codes[0] is not None else UNKNOWN
    if found is None:
        return None
    return str(human_status(found.si_status if found.si_code == os.CLD_EXITED else -found.si_status))


class Doomed:
    """A child with everything that it started, from when it is killed until nothing of it is left."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._started: list[psutil.Process] = []

    def kill(self) -> None:
        """Send SIGKILL to the child, its descendants and its process group.

        Call again for what was started meanwhile.
        """
        if _is_ours(self.pid):
            with contextlib.suppress(psutil.Error):
                self._started += psutil.Process(self.pid).children(recursive=True)
            _kill(self.pid)
        for pid in _members(self.pid):
            _kill(pid)
        for process in self._started:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def gone(self) -> bool:
        """Whether nothing of it runs any more."""
        return not (
            (_is_ours(self.pid) and _lives(self.pid))
            or any(_lives(process.pid) for process in self._started if process.is_running())
            or any(_lives(pid) for pid in _members(self.pid))
        )


def kill_and_wait(pids: list[int], *, seconds: float) -> bool:
    """End these children at once; True if nothing of them is left within ``seconds``."""
    doomed = [Doomed(pid) for pid in pids]
    until = time.monotonic() + seconds
    for one in doomed:
        one.kill()
    while left := [one for one in doomed if not one.gone()]:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
        for one in left:
            one.kill()
    return True


def _is_ours(pid: int) -> bool:
    """Whether it is a child of this process: its number may have been given to a foreign process since."""
    try:
        return psutil.Process(pid).ppid() == os.getpid()
    except psutil.Error:
        return False


def _lives(pid: int) -> bool:
    """Whether it still runs: a zombie changes nothing any more."""
    try:
        return bool(psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False


def _members(group: int) -> list[int]:
    """Only of our session: the number of a group that has ended may have been given to a foreign one."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group and os.getsid(pid) == os.getsid(0):
                found.append(pid)
    return found


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
