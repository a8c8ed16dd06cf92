"""Our own processes, begun in copies of one that has imported what they need already: most of a start is imports.

What runs is what ``python -m celery …`` runs. One server has imported packages that read no settings, for any program;
a copy of it for each database engine has loaded the project too, for programs that begin with the project's settings.
Where one of those that loading read has another value, or another module of a loaded one's name is on PYTHONPATH, the
program begins in a new interpreter. ``server`` is the process that copies itself.
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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cnaasjobs.run import exec_child

_SERVER = Path(__file__).with_name("server")
_ROOT = Path(__file__).resolve().parents[3]
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


Process = subprocess.Popen[bytes] | Copy
Request = dict[str, object]


class _Server:
    """``begin`` starts it with the number of its end of the connection, and says how to look at the process."""

    def __init__(self, begin: Callable[[int], Process]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = begin(theirs.fileno())

    def start(self, request: Request, *given: int) -> Copy:
        """``given`` are its two outputs, or its connection where it becomes a server itself."""
        ours, theirs = os.pipe()
        try:
            fds = array.array("i", [theirs, *given])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
            self._control.sendmsg([json.dumps(request).encode()], rights)
        finally:
            os.close(theirs)
        return Copy(ours)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """Which ends it."""
        self._control.close()

    def stop(self) -> None:
        self.close()
        self._process.wait()


def _with_packages(control: int) -> Process:
    argv = [sys.executable, "-I", "-S", exec_child.__file__, "--parent", str(os.getpid()), "--"]
    argv += [sys.executable, str(_SERVER), str(control)]
    env = {name: value for name, value in os.environ.items() if name not in _DONE}  # on every machine the same
    return subprocess.Popen(argv, pass_fds=[control], stdin=subprocess.DEVNULL, env=env)


_servers: dict[tuple[str, ...], _Server] = {}
_shared: _Server | None = None


def share() -> Callable[[], None]:
    """Copies of this process get copies of one server that has imported the packages. Returns how to end that."""
    global _shared
    _shared = _Server(_with_packages)
    return _shared.stop


def _first(control: int) -> Process:
    """Ends with this process, as the one does that it begins by itself: the connection is closed."""
    if _shared is not None:
        with suppress(OSError):  # it has ended
            return _shared.start({"argv": []}, control)
    return _with_packages(control)


def _server(key: tuple[str, ...], begin: Callable[[int], Process]) -> _Server:
    if key not in _servers or not _servers[key].running:
        _servers[key] = server = _Server(begin)
        atexit.register(server.close if key else server.stop)  # the first is waited for: the others end with it
    return _servers[key]


def _of_the_project(env: Mapping[str, str], cwd: Path) -> tuple[str, ...]:
    """What a process that has loaded the project must have in common with the one that is asked for, if it may."""
    if cwd != _ROOT or not env.get("DJANGO_SETTINGS_MODULE"):
        return ()
    engine = env.get("DATABASE_URL", "").partition(":")[0]
    return env["DJANGO_SETTINGS_MODULE"], engine


def read_at_the_start(env: Mapping[str, str]) -> dict[str, str]:
    """What two processes must have in common for one to be a copy of the other."""
    return {n: value for n, value in env.items() if n.startswith(_READ_AT_THE_START) and n not in _DONE}


def can_run(argv: Sequence[str], env: Mapping[str, str] | None) -> bool:
    """Whether it is a program in Python, in an environment in which a copy is what a new interpreter would be."""
    env = os.environ if env is None else env
    is_program = argv[0] == sys.executable and (argv[1] == "-m" or not argv[1].startswith("-"))
    return is_program and read_at_the_start(env) == read_at_the_start(os.environ)


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    user: str | None,
    output: int,
    errors: int,
) -> Copy:
    """To be called in a thread that lives as long as the process may. ``output`` and ``errors`` are descriptors."""
    if user:
        raise ValueError("a copy runs as the same user")
    env, cwd = dict(os.environ if env is None else env), cwd or Path.cwd()
    request: Request = {"argv": [*argv[1:]], "env": env, "cwd": str(cwd)}
    server = _server((), _first)
    if key := _of_the_project(env, cwd):
        of_all = {name: value for name, value in env.items() if name != "PYTHONPATH"}
        packages, load = server, request | {"argv": [], "env": of_all}
        server = _server(key, lambda control: packages.start(load, control))
    return server.start(request, output, errors)
