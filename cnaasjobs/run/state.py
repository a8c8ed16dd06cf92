"""The state directory of ``make run``: one copy at a time, secrets for their owner only, one log per process."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from cnaasjobs.embedded import broker_socket
from cnaasjobs.run.config import StartError

MAX_LOG_BYTES = 20_000_000


class StateDirectory:
    """Locked for as long as this process, or a child that got ``lock``, lives."""

    def __init__(self, path: Path) -> None:
        """Raises StartError when another copy uses it or it cannot be written."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (path / "log").mkdir(exist_ok=True)
            self.lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(f"Cannot write to the state directory {path}: {error.strerror}") from None
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self.lock, 20, 0).decode().strip()
            raise StartError(
                f"State directory {path} is in use by process {holder or '?'}: set CNAASJOBS_STATE_DIR to another"
            ) from None
        os.truncate(self.lock, 0)
        os.pwrite(self.lock, f"{os.getpid()}\n".encode(), 0)

    def log(self, name: str) -> Path:
        """The log file of a process, begun anew when the last one grew large."""
        file = self.path / "log" / f"{name}.log"
        if file.exists() and file.stat().st_size > MAX_LOG_BYTES:
            file.replace(file.with_suffix(".log.1"))
        return file

    def prepare_socket(self) -> Path:
        """The embedded broker's socket, its directory made where it is not the state directory.

        Raises StartError when somebody else made that one.
        """
        socket = broker_socket(self.path)
        directory = socket.parent
        if directory != self.path:
            directory.mkdir(mode=0o700, exist_ok=True)
            found = directory.lstat()
            if found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise StartError(f"{directory} is not ours alone: set CNAASJOBS_STATE_DIR to a shorter path")
        socket.unlink(missing_ok=True)
        return socket


def secret(file: Path, make: Callable[[], str]) -> str:
    """The content of a file that only its owner can read; made at the first call."""
    if not file.exists():
        write_secret(file, make())
    return file.read_text().strip()


def write_secret(file: Path, text: str) -> None:
    """Whole or not at all, with mode 600 from its first byte."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text + "\n")
    draft.replace(file)
