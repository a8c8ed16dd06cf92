"""Our own processes, begun in copies of one that has imported the packages already: most of a start is importing them.

What runs is what ``python -m celery …`` runs, from the project's first line on: no module of the project, and none that
reads settings, is imported before. ``server`` is the process that copies itself.
"""

import array
import atexit
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnaasjobs.run import exec_child

_SERVER = Path(__file__).with_name("server")
_NUMBER = struct.Struct("i")

# What the interpreter, the loader or the C library reads before a program's first line. PYTHONPATH and
# PYTHONUNBUFFERED are done by the copy.
_READ_AT_THE_START = ("PYTHON", "LD_", "MALLOC_", "LC_", "LANG", "TZ", "FAKETIME")
_DONE = {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


class Copy:
    """The part of ``subprocess.Popen`` that a ``Managed`` uses, for a process whose parent is the server."""

    def __init__(self, status: int) -> None:
        self._status = status  # a pipe: first its number, then how it ended
        self._lock = threading.Lock()
        self.returncode: int | None = None
        self.pid = self._read()

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        if (code := self._look(timeout)) is None:
            raise subprocess.TimeoutExpired("a preloaded program", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _look(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
                self.returncode = self._read()
                os.close(self._status)
        return self.returncode

    def _read(self) -> int:
        data = os.read(self._status, _NUMBER.size)
        if len(data) < _NUMBER.size:
            raise AssertionError("the process that preloads has ended")
        return int(_NUMBER.unpack(data)[0])


class _Server:
    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, "-I", "-S", exec_child.__file__, "--parent", str(os.getpid()), "--"]
            argv += [sys.executable, str(_SERVER), str(theirs.fileno())]
            self._process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        atexit.register(self._stop)

    def start(self, request: Mapping[str, object], output: int) -> Copy:
        ours, theirs = os.pipe()
        try:
            fds = array.array("i", [output, theirs])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
            self._control.sendmsg([json.dumps(request).encode()], rights)
        finally:
            os.close(theirs)
        return Copy(ours)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def _stop(self) -> None:
        self._control.close()
        self._process.wait()


_server: _Server | None = None


def can_run(argv: Sequence[str], env: Mapping[str, str] | None) -> bool:
    """Whether it is a program in Python, in an environment in which a copy is what a new interpreter would be."""
    env = os.environ if env is None else env
    names = {name for name in (*env, *os.environ) if name.startswith(_READ_AT_THE_START)} - _DONE
    is_program = argv[0] == sys.executable and (argv[1] == "-m" or not argv[1].startswith("-"))
    return is_program and all(env.get(name) == os.environ.get(name) for name in names)


def start(
    argv: Sequence[str], *, env: Mapping[str, str] | None, cwd: Path | None, user: str | None, output: int
) -> Copy:
    """To be called in a thread that lives as long as the process may. ``output`` is a descriptor."""
    global _server
    if user:
        raise ValueError("a copy runs as the same user")
    if _server is None or not _server.running:
        _server = _Server()
    request = {"argv": [*argv[1:]], "env": dict(os.environ if env is None else env), "cwd": str(cwd or Path.cwd())}
    return _server.start(request, output)
