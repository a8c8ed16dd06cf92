"""What every private service can do, so that tests and faults use all of them in the same way."""

import functools
import os
import shutil
import signal
import socket
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Final, Self

import psutil

from tests.services.managed import Managed
from tests.waiting import wait_until

_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 4 << 30


def free_port() -> int:
    """One of loopback that nobody else is given as long as this process lives, not even while no server is there.

    It is bound here, and the kernel leaves a bound one out: for connections that go out, and for who asks for any. Only
    a server that asks for this one may listen there, since servers set SO_REUSEADDR, and as often as it likes.
    """
    port = socket.socket()
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.bind(("127.0.0.1", 0))
    number = int(port.getsockname()[1])
    port.detach()  # it stays open
    return number


def scratch_directory(name: str, *, in_memory: bool = False) -> Path:
    """A new directory that other users may pass through: PostgreSQL, run by root, gets a user of its own.

    ``in_memory``: where there is room, so that hundreds of new databases don't keep a disk's file system busy.
    """
    if in_memory and _has_room():
        directory = Path(tempfile.mkdtemp(prefix=f"cnaasjobs-test-{os.getpid()}-{name}-", dir=_MEMORY))
    else:
        directory = Path(tempfile.mkdtemp(prefix=f"cnaasjobs-{name}-"))
    directory.chmod(0o755)
    return directory


def is_in_memory(directory: Path) -> bool:
    return directory.is_relative_to(_MEMORY)


@functools.cache
def _has_room() -> bool:
    if not os.access(_MEMORY, os.W_OK):
        return False
    for left in _MEMORY.glob("cnaasjobs-test-*"):  # by a run that was killed
        if not psutil.pid_exists(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    return shutil.disk_usage(_MEMORY).free >= _ROOM


def find_binary(name: str, places: Iterable[str] = ()) -> str | None:
    """On PATH, otherwise in the places where distributions put their servers."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *places]))


class Service(ABC):
    """A server process with a directory. ``stop`` keeps the data, ``wipe`` loses it; the address stays the same."""

    name: ClassVar[str]
    start_seconds: ClassVar[float] = 30.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: Managed | None = None

    @classmethod
    @abstractmethod
    def is_available(cls) -> bool:
        """True where the binaries are there."""

    @property
    @abstractmethod
    def url(self) -> str:
        """For DATABASE_URL or CELERY_BROKER_URL."""

    @abstractmethod
    def is_ready(self) -> bool:
        """True when it answers a client."""

    @abstractmethod
    def launch(self) -> Managed:
        """Starts the process, on an empty or an earlier directory."""

    @abstractmethod
    def erase(self) -> None:
        """Removes the data of a stopped service."""

    def start(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = self.launch()
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        process = self._running()

        def answers() -> bool:
            if not process.running:
                raise AssertionError(f"{process!r} while it started\n{process.output()[-4000:]}")
            return self.is_ready()

        wait_until(answers, timeout=self.start_seconds, interval=0.05, message=lambda: process.output()[-4000:])

    def stop(self) -> None:
        """A clean stop."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        """SIGKILL to all of it: a crash."""
        if self.process is not None:
            self.process.kill_tree()
            self.process = None

    def freeze(self) -> None:
        """SIGSTOP to all of it: connections stay open, nothing answers."""
        self._running().freeze()

    def thaw(self) -> None:
        self._running().thaw()

    def restart(self) -> None:
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Stopped, its data lost, started again."""
        self.stop()
        self.erase()
        self.start()

    def recover(self) -> None:
        """Make it usable again after a test that froze, stopped or killed it."""
        if self.process is not None and self.process.running:
            self.thaw()
        else:
            self.process = None
            self.start()

    def reload(self) -> None:
        self._running().signal(signal.SIGHUP)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _running(self) -> Managed:
        assert self.process is not None, f"{self.name} is not running"
        return self.process


class Broker(Service):
    """A message broker."""

    @abstractmethod
    def separate_urls(self) -> list[str]:
        """Addresses with queues of their own behind each."""

    @abstractmethod
    def purge(self) -> None:
        """Loses every waiting message; queues and connections stay."""

    @abstractmethod
    def cut_connections(self) -> None:
        """Closes every client's connection."""
