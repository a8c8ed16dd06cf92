"""The state directory of ``make run``: one copy at a time, secrets for their owner only, a log per process."""

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cnaasjobs.embedded import socket_directory
from cnaasjobs.run.config import LOGIN_KEY, StartError

MAX_LOG_BYTES = 20_000_000
# All that is kept in it. If the directory existed before, only these are ours to change.
_OURS: Final = (
    "lock",
    "secret-key",
    "admin-password",
    "token",
    LOGIN_KEY,
    "broker.sock",
    "web.sock",
    "events.sock",
    "log",
    "broker",
    "lab",
)
_DATABASE: Final = "db.sqlite3"  # and what SQLite puts beside it
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class StateDirectory:
    """Locked as long as this process, or a child that inherited ``lock``, is alive."""

    def __init__(self, path: Path) -> None:
        """Raises StartError when another copy uses it, it cannot be written, or it is not ours alone."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            _close_to_others(path)
            (path / "log").mkdir(mode=0o700, exist_ok=True)
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
        """The log file of a process; a new one is begun when the last one has grown large."""
        file = self.path / "log" / f"{name}.log"
        if file.exists() and file.stat().st_size > MAX_LOG_BYTES:
            file.replace(file.with_suffix(".log.1"))
        return file

    def socket(self, name: str) -> Path:
        """Where a process of ours will listen; its directory is made if it is not the state directory.

        Raises StartError when somebody else made that one.
        """
        directory = socket_directory(self.path)
        socket = directory / f"{name}.sock"
        if directory != self.path:
            directory.mkdir(mode=0o700, exist_ok=True)
            found = directory.lstat()
            if found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise StartError(
                    f"{directory} is accessible to others: remove it, or set CNAASJOBS_STATE_DIR to a shorter path"
                )
        socket.unlink(missing_ok=True)
        return socket


def _close_to_others(path: Path) -> None:
    """What existed before may have been made by anybody, with any mode. Raises StartError for what can't be ours.

    The directory comes first: from then on nobody else can change what is in it.
    """
    _ours(path)
    entries = [*path.iterdir()]
    strange = sorted(entry.name for entry in entries if not _is_known(entry.name))
    if strange and path.stat().st_mode & _OTHERS:
        raise StartError(
            f"{path} contains a file that is not the platform's ({strange[0]}), and others can access it: chmod 700 it,"
            " or set CNAASJOBS_STATE_DIR to a directory of its own"
        )
    _close(path)
    for entry in entries:
        if _is_known(entry.name):
            for found in [entry, *(() if entry.is_symlink() else entry.rglob("*"))]:
                _ours(found)
                _close(found)


def _is_known(name: str) -> bool:
    return name.removesuffix(".new") in _OURS or name.startswith(_DATABASE)


def _ours(path: Path) -> None:
    owner = path.lstat().st_uid
    if owner != os.getuid():
        raise StartError(
            f"{path} belongs to another user ({owner}): set CNAASJOBS_STATE_DIR to a directory of your own"
        )


def _close(path: Path) -> None:
    mode = path.lstat().st_mode
    if mode & _OTHERS and not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) & ~_OTHERS)


def secret(file: Path, make: Callable[[], str]) -> str:
    """The content of a file that only its owner can read; the first call makes it."""
    if not kept(file):
        write_secret(file, make())
    return kept(file)


def kept(file: Path) -> str:
    """A secret as it was written; empty if there is none, which must never serve as a password."""
    return file.read_text().strip() if file.exists() else ""


def write_secret(file: Path, text: str) -> None:
    """Write it completely or not at all, with mode 600 from the first byte."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "w") as output:
        output.write(text + "\n")
    draft.replace(file)
