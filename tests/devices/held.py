"""Live syncs by real workers, with a driver that waits where a test tells it to, and records what it does."""

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from devices.lab.driver import LabDriver
from devices.tasks import sync_devices
from jobs.models import Job, JobDevice
from jobs.states import Status
from tests.api.conftest import Api
from tests.devices.lab import Lab, ended
from tests.services.managed import Managed
from tests.services.processes import Platform
from tests.waiting import wait_until

HOSTS = [f"sw{number}" for number in range(6)]
QUICK = {
    "CNAASJOBS_HEARTBEAT_SECONDS": "0.2",
    "CNAASJOBS_UPKEEP_SECONDS": "0.6",
    "CNAASJOBS_WORKER_LOST_SECONDS": "3",
}
DRIVER = """
import pathlib, time
from devices.lab import driver as lab

HERE = pathlib.Path(__file__).parent

class Driver(lab.LabDriver):
    # Before and after each verb it writes a line; before it, it waits while a file says so, and fails if one says so.
    def compare_config(self):
        return self.verb("compare", super().compare_config)

    def commit_config(self, message="", revert_in=None):
        self.verb("commit", lambda: super(Driver, self).commit_config(message, revert_in))

    def confirm_commit(self):
        self.verb("confirm", super().confirm_commit)

    def rollback(self):
        self.verb("rollback", super().rollback)

    def verb(self, name, work):
        self.note(f"to-{name}")
        while (HERE / f"hold-{name}").exists() or (HERE / f"hold-{name}-{self.hostname}").exists():
            time.sleep(0.02)
        if (HERE / f"fail-{name}-{self.hostname}").exists():
            raise RuntimeError(f"{name} refused")
        found = work()
        self.note(name)
        return found

    def note(self, what):
        with (HERE / "log").open("a") as log:
            log.write(f"{what} {self.hostname}\\n")
"""


class Held:
    """An inventory of such devices. Its drivers wait, and write their log, in a directory."""

    def __init__(
        self, site: Platform, lab: Lab, directory: Path, hosts: Sequence[str], *, at_once: int, delay_seconds: float = 0
    ) -> None:
        self.directory = directory
        directory.mkdir()
        (directory / "napalm_held.py").write_text(DRIVER)
        lab.template("hostname {{ host }}\nmotd {{ motd }}\n", platform="held")
        lab.workers = at_once
        lab.add(*hosts, platform="held", delay_seconds=delay_seconds)
        site.env |= {"PYTHONPATH": str(directory), **QUICK}

    def hold(self, verb: str, *hosts: str) -> None:
        for name in [f"hold-{verb}-{host}" for host in hosts] or [f"hold-{verb}"]:
            (self.directory / name).touch()

    def release(self, verb: str, *hosts: str) -> None:
        for name in [f"hold-{verb}-{host}" for host in hosts] or [f"hold-{verb}"]:
            (self.directory / name).unlink()

    @contextmanager
    def refusing(self, verb: str, host: str) -> Iterator[None]:
        """It fails there inside."""
        refusal = self.directory / f"fail-{verb}-{host}"
        refusal.touch()
        yield
        refusal.unlink()

    def done(self, verb: str) -> list[str]:
        """Those that have done it, by their driver's log."""
        log = self.directory / "log"
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return sorted(host for what, host in lines if what == verb)

    def until(self, verb: str, hosts: Sequence[str]) -> None:
        wait_until(lambda: self.done(verb) == sorted(hosts), timeout=60, message=lambda: str(self.done(verb)))


class Trio(Held):
    """A live sync of six devices by three workers, each of which has two of them in hand, not yet prepared."""

    def __init__(self, site: Platform, lab: Lab, directory: Path, *, mode: int) -> None:
        super().__init__(site, lab, directory, HOSTS, at_once=2)
        self.lab = lab
        self.site = site
        self.mode = mode
        beat = site.beat(wait=False)
        self.workers: dict[str, Managed] = {
            name: site.worker(name, concurrency=1, wait=False) for name in ("w1", "w2", "w3")
        }
        beat.wait_for_output("beat: Starting")
        for worker in self.workers.values():
            worker.wait_for_output(" ready.")
        self.begin()

    def begin(self) -> None:
        """The next one, with a new log."""
        (self.directory / "log").unlink(missing_ok=True)
        self.hold("compare")
        self.job = sync_devices.schedule(all=True, dry_run=False, confirm_mode=self.mode)
        self.until("to-compare", HOSTS)
        assert sorted(Counter(self.names().values()).items()) == [("w1", 2), ("w2", 2), ("w3", 2)]

    def names(self) -> dict[str, str]:
        """Which worker has or had each device."""
        rows = JobDevice.objects.filter(job=self.job).values_list("host", "worker")
        return {host: (worker or "").partition("@")[0] for host, worker in rows}

    def of(self, worker: str) -> list[str]:
        """Its devices."""
        return sorted(host for host, name in self.names().items() if name == worker)

    def kill_who_has(self, host: str) -> list[str]:
        """SIGKILL to that process. Returns its devices, once they count as lost."""
        name = self.names()[host]
        had = [each for each, of in self.names().items() if of == name]
        os.kill(self.workers[name].children()[0].pid, signal.SIGKILL)
        lost = JobDevice.objects.filter(job=self.job, host__in=had, failed=True)
        wait_until(lambda: lost.count() == len(had), timeout=60)
        return had

    def ended(self) -> Job:
        job = ended(self.job.pk)
        assert (job.status, job.exception_type) == (Status.FINISHED, None)
        return job

    def why_failed(self) -> dict[str, str | None]:
        """Each device that is over, by the API; None for one that did not fail."""
        devices = Api().get(f"/job/{self.job.pk}/devices").data["devices"]
        return {one["hostname"]: one["reason"] for one in devices if one["state"] == "DONE"}

    def pending(self) -> list[str]:
        """Devices that revert by themselves if nobody confirms."""
        return [host for host in HOSTS if LabDriver(host).has_pending_commit()]

    def changed(self) -> list[str]:
        """Devices whose configuration stays changed when every timer has run out."""
        for host in HOSTS:
            for file in (self.lab.state / "lab" / ".pending").glob(f"*/{host}"):
                os.utime(file, ns=(0, 0))
        return [host for host in HOSTS if LabDriver(host).get_config()["running"]]

    def others(self, *hosts: str) -> list[str]:
        return [host for host in HOSTS if host not in hosts]
