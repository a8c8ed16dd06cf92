"""Workers of another version of the source, alongside this one's. Their devices record what is committed to them."""

from collections import Counter
from pathlib import Path

from pytest_django import Settings

from jobs.models import JobDevice
from jobs.states import Status
from tests.devices.lab import Lab, devices_of, ended
from tests.services.managed import Managed
from tests.services.processes import Platform

QUICK = {"CNAASJOBS_HEARTBEAT_SECONDS": "0.2", "CNAASJOBS_UPKEEP_SECONDS": "0.6"}

DRIVER = """
import pathlib, time
from devices.lab import driver as lab

HERE = pathlib.Path(__file__).parent

class Driver(lab.LabDriver):
    # Each waits until it may go on, and writes down what it commits.

    def open(self):
        while not (HERE / "go").exists():
            time.sleep(0.05)
        super().open()

    def commit_config(self, message="", revert_in=None):
        super().commit_config(message, revert_in)
        with (HERE / "commits").open("a") as log:
            log.write(self.hostname + "\\n")
"""


class Site:
    """Processes that serve the inventory of ``lab``, with that driver. No device opens before ``go`` is there."""

    def __init__(self, lab: Lab, platform: Platform, settings: Settings, directory: Path) -> None:
        self.platform = platform
        self._drivers = directory / "drivers"
        self._drivers.mkdir()
        (self._drivers / "napalm_notes.py").write_text(DRIVER)
        self.go = self._drivers / "go"
        lab.template("hostname {{ host }}\nmotd {{ motd }}\n", platform="notes")
        lab.state = settings.CNAASJOBS_STATE_DIR = platform.directory
        platform.env |= {"NORNIR_CONFIG": str(lab.config), "CNAASJOBS_TEMPLATES": str(lab.templates)}
        platform.env |= {"PYTHONPATH": str(self._drivers), **QUICK}

    def of(self, source: Path, name: str) -> Platform:
        """Processes that run another source; they end with the others."""
        env = self.platform.env
        beside = Platform(
            database_url=env["DATABASE_URL"],
            broker_url=env["CELERY_BROKER_URL"],
            directory=self.platform.directory / name,
            env={**env, "CNAASJOBS_STATE_DIR": str(self.platform.directory)},
            root=source,
            preloaded=False,
        )
        beside.processes = self.platform.processes
        return beside

    def worker_of(self, source: Path, name: str) -> Managed:
        """A worker with one slot that runs another source."""
        return self.of(source, name).worker(name, concurrency=1)

    def carried_out_by(self, job_id: int) -> set[str]:
        """Let the devices open. The names of the workers that had those of this job, which ends without a failure."""
        self.go.touch()
        job = ended(job_id)
        assert (job.status, job.exception_type) == (Status.FINISHED, None)
        assert not any(device["failed"] for device in devices_of(job).values())
        workers = JobDevice.objects.filter(job=job).values_list("worker", flat=True)
        return {(worker or "").partition("@")[0] for worker in workers}

    def commits(self) -> Counter[str]:
        log = self._drivers / "commits"
        return Counter(log.read_text().split()) if log.exists() else Counter()
