"""Test processes that are forked copies have their own settings, are replaced when they die, and end with the run."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.copies import nested
from tests.services.managed import Managed
from tests.services.processes import ROOT
from tests.waiting import wait_until

OPTIONS = "-n 2 -p no:randomly -p no:cacheprovider -p"
RUN = ["-m", "pytest", *OPTIONS.split(), nested.__name__, nested.__file__, "tests/liveness"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Managed]:
    ours = ("PYTEST_", "CNAASJOBS_", "DATABASE_URL", "CELERY_BROKER_URL")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env[nested.TOLD] = str(tmp_path)
    process = Managed("pytest", [sys.executable, *RUN], log=tmp_path / "log", cwd=ROOT, env=env)
    yield process
    process.kill_tree()


def told(place: Path, what: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in place.glob(f"{what}-*.json")]


def test_copies_have_their_own_settings_are_replaced_and_end_with_the_run(run: Managed, tmp_path: Path) -> None:
    def all_is_told() -> bool:
        assert run.running, run.output()
        return bool(told(tmp_path, "waiting")) and bool(told(tmp_path, "again"))

    wait_until(all_is_told, timeout=120, message=run.output)

    processes, [killed], [waiting] = (told(tmp_path, what) for what in ("process", "killed", "waiting"))
    assert len(processes) == 3
    assert all(process["has_imported"] for process in processes)
    assert all(process["own"][0] == process["environment"] for process in processes)
    for values in zip(*(one["own"] for one in [*processes, *told(tmp_path, "controller")]), strict=True):
        assert len(set(values)) == 4
    wait_until(lambda: not psutil.pid_exists(killed["program"]), message="what a killed process has started")
    assert psutil.pid_exists(waiting["program"])

    os.killpg(run.pid, signal.SIGINT)  # as Ctrl-C does

    assert run.wait(timeout=60) == pytest.ExitCode.INTERRUPTED
    assert "crashed while running 'tests/copies/nested.py::test_it_is_killed'" in run.output()
    wait_until(lambda: not run.orphans() and not psutil.pid_exists(waiting["program"]), message="left")
    left = {one["environment"] for one in processes if Path(one["environment"]).exists()}
    assert left <= {killed["directory"]}
