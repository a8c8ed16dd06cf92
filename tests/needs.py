"""``@pytest.mark.needs("postgresql", …)``: what a test needs besides Python.

The last line of a run counts and names the tests that were not run because something is missing.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.db import connection

from tests.services import SERVICES, Nginx, PgBouncer, namespace

REASON = "not installed here: "
_missing: dict[str, set[str]] = defaultdict(set)  # what is missing -> the tests that were not run because of it


def libfaketime() -> Path | None:
    """The library to preload for a shifted clock, or None."""
    return next(iter(Path("/usr/lib").glob("**/faketime/libfaketime.so.1")), None)


def _is_available(what: str) -> bool:
    if what in SERVICES:
        return SERVICES[what].is_available()
    if what == "sqlite":  # as the suite's own database; where that is another one these tests are left out
        return connection.vendor == "sqlite"
    if what == "pgbouncer":
        return PgBouncer.is_available()
    if what == "faketime":
        return libfaketime() is not None
    if what == "nginx":
        return Nginx.is_available()
    if what == "systemd":
        return shutil.which("systemd-analyze") is not None
    if what == "root":
        return os.geteuid() == 0
    if what == "netns":
        return namespace.is_available()
    if what in ("promtool", "chromium", "curl"):
        return shutil.which(what) is not None
    raise pytest.UsageError(f"needs({what!r}): unknown")


def require(services: Iterable[str]) -> None:
    """Skips the running test, which then counts as not run, if one of these is missing."""
    missing = [name for name in services if not _is_available(name)]
    if missing:
        pytest.skip(REASON + ", ".join(missing))


def pytest_runtest_setup(item: pytest.Item) -> None:
    require(name for marker in item.iter_markers("needs") for name in marker.args)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2])
        _missing[reason.partition(REASON)[2] or "skipped"].add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CNAASJOBS_REQUIRE_ALL_TESTS") == "1" and _missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.option.collectonly:
        return
    reporter.write_line(summary())


def summary() -> str:
    count = sum(len(tests) for tests in _missing.values())
    if not count:
        return "Not run: none"
    parts = [
        f"{len(tests)} for want of {what}: {', '.join(sorted(test.rpartition('::')[2] for test in tests))}"
        for what, tests in sorted(_missing.items())
    ]
    return f"Not run: {count} ({'; '.join(parts)})"
