"""NAPALM's ``lab`` driver: a device is a file, its running configuration, at ``CNAASJOBS_STATE_DIR/lab/<host>``.

A commit with ``revert_in`` is kept beside it, with its deadline, until it is confirmed: while it is pending it is what
the device runs, and when the deadline has passed the device runs its file again. So it reverts without anybody's help,
also when the process that committed it is gone. The deadline is on the machine's monotonic clock, which all processes
share and no change of the time of day moves; a restart of the machine ends a pending commit too.

``optional_args``: ``delay_seconds`` (once per device, in ``open``) and ``fail`` (one of ``FAILURES``).
"""

import contextlib
import difflib
import functools
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from napalm.base import NetworkDriver
from napalm.base.exceptions import (
    CommitError,
    ConnectAuthError,
    ConnectionException,
    ReplaceConfigException,
)

FAILURES = ("open", "auth", "load", "commit")


@functools.cache
def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""  # not Linux: there a restart is not told from a clock that stood still


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
        running, pending = _directories(settings.STATE_DIR)
        self._file = f"{running}/{hostname}"
        self._pending_file = f"{pending}/{hostname}"
        self._candidate: str | None = None
        self._before: str | None = None
        self._opened = False

    # --- connection ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        if self._delay and self._pending() is None:  # coming back to confirm costs no second delay
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
        if self._pending() is not None:
            raise CommitError("A commit is pending confirmation already")
        if self._fail == "commit":
            raise CommitError("Commit refused by the device")
        self._before = self._saved()
        if revert_in is None:
            _write(self._file, self._candidate)
        else:
            pending = {"deadline": time.monotonic() + revert_in, "boot": _boot_id(), "config": self._candidate}
            _write(self._pending_file, json.dumps(pending))
        self._candidate = None

    def has_pending_commit(self) -> bool:
        return self._pending() is not None

    def confirm_commit(self) -> None:
        config = self._pending()
        if config is None:
            raise CommitError("No commit is pending confirmation")
        _write(self._file, config)
        _remove(self._pending_file)

    def rollback(self) -> None:
        if self._pending() is not None:
            _remove(self._pending_file)
        elif self._before is not None:
            _write(self._file, self._before)

    # --- files --------------------------------------------------------------------------------------------------------

    def _running(self) -> str:
        pending = self._pending()
        return self._saved() if pending is None else pending

    def _saved(self) -> str:
        return _read(self._file) or ""

    def _pending(self) -> str | None:
        """The configuration that waits for its confirmation; None if there is none, or its time has run out."""
        kept = _read(self._pending_file)
        if kept is None:
            return None
        pending = json.loads(kept)
        if pending["boot"] != _boot_id() or time.monotonic() >= pending["deadline"]:
            _remove(self._pending_file)
            return None
        return str(pending["config"])


@functools.cache
def _directories(state_dir: Path) -> tuple[Path, Path]:
    """Of running configurations, and of commits that wait for their confirmation."""
    running = state_dir / "lab"
    return running, running / ".pending"


# A sync of 1,000 devices comes here 15,000 times: paths as text, and no exception for a file that is mostly not there.


def _read(file: str) -> str | None:
    if os.access(file, os.F_OK):
        with contextlib.suppress(FileNotFoundError), open(file, encoding="utf-8", newline="") as opened:
            return opened.read()
    return None


def _write(file: str, text: str) -> None:
    """Atomically: a reader sees the old text or the new."""
    _, pending = _directories(settings.STATE_DIR)
    temporary = f"{pending}/.{os.path.basename(file)}.{os.getpid()}.{threading.get_ident()}"
    try:
        _create(temporary, text)
    except FileNotFoundError:
        pending.mkdir(parents=True, exist_ok=True)
        _create(temporary, text)
    os.replace(temporary, file)


def _create(file: str, text: str) -> None:
    with open(file, "w", encoding="utf-8", newline="") as opened:
        opened.write(text)


def _remove(file: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file)
