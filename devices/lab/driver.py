"""NAPALM's ``lab`` driver: a device is a file, its running configuration, at ``CNAASJOBS_STATE_DIR/lab/<host>``.

A commit with ``revert_in`` is kept below ``.pending`` until it is confirmed: while it is pending it is what the device
runs, and when its deadline has passed the device runs its file again. So it reverts by itself, even when the process
that committed it is gone. The deadline is the file's modification time, on the machine's monotonic clock: all processes
share it, and changing the time of day does not move it. The directory is named after the machine's boot, so that a
restart ends a pending commit too.

``optional_args``: ``delay_seconds`` (once per device, in ``open``) and ``fail`` (one of ``FAILURES``).
"""

import contextlib
import difflib
import functools
import os
import threading
import time
from pathlib import Path
from typing import Any

from napalm.base import NetworkDriver
from napalm.base.exceptions import (
    CommitError,
    ConnectAuthError,
    ConnectionException,
    ReplaceConfigException,
)

from cnaasjobs.conf import conf

_CHUNK = 64 * 1024  # bytes. A larger buffer is memory that is mapped for the one call: three more system calls
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
FAILURES = ("open", "auth", "load", "commit")


@functools.cache
def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "-"  # not Linux: there a restart can't be distinguished from a clock that stood still


class LabDriver(NetworkDriver):
    """One lab device. ``hostname`` is the device's name, and the name of its file."""

    def __init__(
        self,
        hostname: str,
        username: str | None = None,
        password: str | None = None,
        timeout: int = 60,
        optional_args: dict[str, Any] | None = None,
    ) -> None:
        args = optional_args or {}
        self.hostname = hostname
        self.username = username
        self.password = password
        self.timeout = timeout
        self.platform = "lab"
        self._delay = float(args.get("delay_seconds") or 0)
        self._fail = args.get("fail")
        if self._fail is not None and self._fail not in FAILURES:
            raise ValueError(f"fail: {self._fail!r} must be one of {', '.join(FAILURES)}")
        if not hostname or hostname.startswith(".") or "/" in hostname or "\x00" in hostname:
            raise ValueError(f"{hostname!r} can't be the name of a lab device")
        running, pending = _directories(conf.state_dir)
        self._file = f"{running}/{hostname}"
        self._pending_file = f"{pending}/{hostname}"
        self._candidate: str | None = None
        self._before: str | None = None
        self._opened = False

    # --- connection ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        if self._delay and not self._is_pending():  # reconnecting to confirm has no second delay
            time.sleep(self._delay)
        if self._fail == "open":
            raise ConnectionException(f"Cannot connect to {self.hostname}")
        if self._fail == "auth":
            raise ConnectAuthError(f"Authentication to {self.hostname} failed")
        self._opened = True

    def close(self) -> None:
        self._opened = False
        self._candidate = None

    def is_alive(self) -> dict[str, bool]:
        return {"is_alive": self._opened}

    # --- configuration ------------------------------------------------------------------------------------------------

    def get_config(
        self, retrieve: str = "all", full: bool = False, sanitized: bool = False, format: str = "text"
    ) -> dict[str, str]:
        return {
            "running": self._running() if retrieve in ("all", "running") else "",
            "startup": self._saved() if retrieve in ("all", "startup") else "",
            "candidate": (self._candidate or "") if retrieve in ("all", "candidate") else "",
        }

    def load_replace_candidate(self, filename: str | None = None, config: str | None = None) -> None:
        if self._fail == "load":
            raise ReplaceConfigException("% Invalid input detected")
        self._candidate = Path(filename).read_text(encoding="utf-8") if filename else config or ""

    def compare_config(self) -> str:
        if self._candidate is None:
            return ""
        running = self._running()
        if running == self._candidate:
            return ""
        lines = difflib.unified_diff(running.splitlines(), self._candidate.splitlines(), lineterm="")
        return "\n".join(list(lines)[2:])  # without the two lines that name files

    def discard_config(self) -> None:
        self._candidate = None

    def commit_config(self, message: str = "", revert_in: int | None = None) -> None:
        if self._candidate is None:
            raise CommitError("No candidate configuration is loaded")
        if self._is_pending():
            raise CommitError("A commit is pending confirmation already")
        if self._fail == "commit":
            raise CommitError("Commit refused by the device")
        self._before = self._saved()
        if revert_in is None:
            _write(self._file, self._candidate)
        else:
            _write(self._pending_file, self._candidate, time_ns=time.monotonic_ns() + int(revert_in * 1e9))
        self._candidate = None

    def has_pending_commit(self) -> bool:
        return self._is_pending()

    def _get_pending_commits(self) -> dict[str, int]:
        """The seconds that are left, by the commit's name, in the form of NAPALM's own drivers."""
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(self._pending_file)
            left_ns = found.st_mtime_ns - time.monotonic_ns()
            if left_ns > 0:
                return {f"{found.st_ino}-{found.st_mtime_ns}": left_ns // 1_000_000_000}
        return {}

    def confirm_commit(self) -> None:
        if not self._is_pending():
            raise CommitError("No commit is pending confirmation")
        os.replace(self._pending_file, self._file)  # in one step: nobody sees the state in between

    def rollback(self) -> None:
        if self._is_pending():
            _remove(self._pending_file)
        elif self._before is not None:
            _write(self._file, self._before)

    # --- files --------------------------------------------------------------------------------------------------------

    def _running(self) -> str:
        pending = _read(self._pending_file) if self._is_pending() else None
        return self._saved() if pending is None else pending

    def _saved(self) -> str:
        return _read(self._file) or ""

    def _is_pending(self) -> bool:
        """A commit waits for its confirmation, and its time has not run out."""
        try:
            deadline_ns = os.stat(self._pending_file).st_mtime_ns
        except FileNotFoundError:
            return False
        if time.monotonic_ns() < deadline_ns:
            return True
        _remove(self._pending_file)
        return False


@functools.cache
def _directories(state_dir: Path) -> tuple[str, str]:
    """The directories of running configurations, and of commits that wait for their confirmation."""
    running = state_dir / "lab"
    return str(running), str(running / ".pending" / _boot_id())


# A sync of 1,000 devices calls these 15,000 times. Each system call may pass Python's lock to another thread, which
# costs more than the call. So they use no file objects, which make three times as many calls.


def _read(file: str) -> str | None:
    try:
        opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        content = part = os.read(opened, _CHUNK)
        while len(part) == _CHUNK:
            part = os.read(opened, _CHUNK)
            content += part
    finally:
        os.close(opened)
    return content.decode()


def _write(file: str, text: str, *, time_ns: int | None = None) -> None:
    """Atomically: a reader sees the old text or the new."""
    _, pending = _directories(conf.state_dir)
    temporary = f"{pending}/.{os.path.basename(file)}.{os.getpid()}.{threading.get_ident()}"
    try:
        created = os.open(temporary, _CREATE, 0o600)
    except FileNotFoundError:
        _make_directories(Path(pending))
        created = os.open(temporary, _CREATE, 0o600)
    try:
        content = text.encode()
        while content:
            content = content[os.write(created, content) :]
        if time_ns is not None:
            os.utime(created, ns=(time_ns, time_ns))
    finally:
        os.close(created)
    os.replace(temporary, file)


def _make_directories(path: Path) -> None:
    """Gives each its mode: os.makedirs would set that of the last one only."""
    for directory in (*reversed(path.parents), path):
        if not directory.exists():
            directory.mkdir(mode=0o700, exist_ok=True)


def _remove(file: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file)
