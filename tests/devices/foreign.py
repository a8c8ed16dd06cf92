"""Third-party drivers, as packages in a directory on ``sys.path``. Each keeps its devices in a dict, by hostname."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

BODY = """
from napalm.base import NetworkDriver
from napalm.base.exceptions import *

devices = {}


class ForeignDriver(NetworkDriver):
    def __init__(self, hostname, username, password, timeout=60, optional_args=None):
        self.hostname, self.username, self.password, self.optional_args = hostname, username, password, optional_args
        self.device = devices.setdefault(hostname, {"running": "", "calls": [], "open": 0, "pending": None})
        self.candidate = None
        self.alive = False

    def call(self, *what):
        self.device["calls"].append(what if len(what) > 1 else what[0])

    def open(self):
        self.call("open")
        if self.device.get("unreachable"):
            raise ConnectionException("no route to host")
        self.device["open"] += 1
        self.alive = True

    def close(self):
        self.call("close")
        self.device["open"] -= self.alive
        self.alive = False

    def is_alive(self):
        return {"is_alive": self.alive}

    def load_replace_candidate(self, filename=None, config=None):
        self.call("load")
        self.candidate = config

    def compare_config(self):
        return "" if self.candidate == self.device["running"] else "+ " + self.candidate

    def discard_config(self):
        self.call("discard")
        self.candidate = None

    def get_config(self, retrieve="all", full=False, sanitized=False):
        return {"running": self.device["running"], "candidate": "", "startup": ""}

    def commit_config(self, message="", revert_in=None):
        self.call("commit", message, revert_in)
        if message:
            raise NotImplementedError("Commit message not implemented for this platform")
        if revert_in is None:
            self.device["running"] = self.candidate
        else:
            self.device["pending"] = self.candidate
        if self.device.get("locks_us_out"):
            self.device["unreachable"] = True

    def has_pending_commit(self):
        return self.device["pending"] is not None

    def confirm_commit(self):
        self.call("confirm")
        self.device["running"], self.device["pending"] = self.device["pending"], None

    def rollback(self):
        self.call("rollback")
        self.device["pending"] = None
"""


class Foreign:
    """Installs drivers, and looks at their devices."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self._monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(str(directory))

    def install(self, module: str, more: str = "") -> Any:
        """A driver in ``module``; ``more`` are lines of Python that change its class. Returns the module."""
        file = self.directory.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.parent != self.directory:
            (file.parent / "__init__.py").touch()
        file.write_text(BODY + more)
        importlib.invalidate_caches()
        imported = importlib.import_module(module)
        gone_after(self._monkeypatch, module)
        return imported


def gone_after(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Forgets an imported driver with the test: its package would hide those of other tests."""
    for name in {module, module.partition(".")[0]}:
        monkeypatch.setitem(sys.modules, name, sys.modules.pop(name))
