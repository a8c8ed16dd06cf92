"""One running copy of ``make run`` under a test's control, in a state directory of its own."""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

from tests.services.managed import Managed
from tests.services.processes import ROOT
from tests.waiting import wait_until

COMMAND = (sys.executable, "-m", "cnaasjobs.run")
STARTED_SECONDS = 90.0
TEST_ONLY = (
    "DATABASE_URL",
    "CELERY_BROKER_URL",
    "DJANGO_SETTINGS_MODULE",
    "SECRET_KEY",
    "NORNIR_CONFIG",
    "PYTHONDONTWRITEBYTECODE",
)


class Copy:
    """``python -m cnaasjobs.run`` on a free port, on the embedded default unless ``env`` says otherwise."""

    def __init__(
        self,
        directory: Path,
        *,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
        database: Path | None = None,
        state: Path | None = None,
    ) -> None:
        """``database``: a migrated one that it finds, where its first start is not what the test is about."""
        self.state = state or directory / "state"
        if database:
            self.state.mkdir(parents=True)
            shutil.copyfile(database, self.state / "db.sqlite3")
        base = {k: v for k, v in os.environ.items() if k not in TEST_ONLY and not k.startswith("CNAASJOBS_")}
        self.env = base | {
            "PORT": "0",
            "CNAASJOBS_STATE_DIR": str(self.state),
            "CNAASJOBS_WEB_WORKERS": "1",
            **(env or {}),
        }
        self.process = Managed("run", command, log=directory / "output.log", env=self.env, cwd=ROOT)

    def wait_for_first_job(self) -> dict[str, Any]:
        """The job whose devices it has shown."""
        self.process.wait_for_output("To try", timeout=STARTED_SECONDS)
        kept = self.state / "token"
        headers = {"Authorization": f"Bearer {kept.read_text().strip()}"} if kept.exists() else {}
        job: dict[str, Any] = self.get("/api/v1.0/job/1", **headers)["data"]["jobs"][0]
        return job

    def output(self) -> str:
        return self.process.output()

    @property
    def url(self) -> str:
        found = re.search(r"API +(http://\S+?)/api", self.output())
        assert found, self.output()
        return found.group(1)

    def get(self, path: str, **headers: str) -> Any:
        with urlopen(Request(self.url + path, headers=headers), timeout=30) as response:
            return json.loads(response.read())

    def post(self, path: str, body: Any, **headers: str) -> Any:
        request = Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
        with urlopen(request, timeout=30) as response:
            return json.loads(response.read())

    def processes(self) -> list[psutil.Process]:
        """Every process of this copy, wherever it is in the tree."""
        return processes_of(self.state)

    def named(self, *words: str) -> list[psutil.Process]:
        """Its processes whose command line has these words, parents first."""
        found = [process for process in self.processes() if set(words) <= set(command_line(process))]
        return sorted(found, key=lambda process: process.create_time())

    def sync(self) -> int:
        """Schedules a dry run; the job's id."""
        return int(self.post("/api/v1.0/device_syncto", {"all": True})["job_id"])

    def wait_for_job(self, job_id: int) -> None:
        def finished() -> bool:
            return bool(self.get(f"/api/v1.0/job/{job_id}")["data"]["jobs"][0]["status"] == "FINISHED")

        wait_until(finished, timeout=60, interval=0.2, message=self.output)

    def stop(self) -> None:
        self.process.stop(timeout=30)
        for process in self.processes():
            process.kill()


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def processes_of(state: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            # Redis overwrites its environment with its title, but its working directory is its data directory.
            is_broker = process.cwd() == str(state / "broker")
            is_ours = is_broker or process.environ().get("CNAASJOBS_STATE_DIR") == str(state)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
