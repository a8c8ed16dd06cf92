"""confirm_mode 2 over three real workers: one dies before or after a decision, or all do; by the drivers' own log."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from devices.lab.driver import LabDriver
from devices.tasks import sync_devices
from jobs.models import Job, JobDevice
from jobs.states import Status
from tests.devices.lab import Lab, ended, reason
from tests.services.managed import Managed
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.needs("postgresql", "rabbitmq")]

HOSTS = [f"sw{number}" for number in range(6)]
QUICK = {
    "CNAASJOBS_HEARTBEAT_SECONDS": "0.2",
    "CNAASJOBS_UPKEEP_SECONDS": "0.3",
    "CNAASJOBS_WORKER_LOST_SECONDS": "3",
}
DRIVER = """
import pathlib, time
from devices.lab import driver as lab

HERE = pathlib.Path(__file__).parent

class Driver(lab.LabDriver):
    # Before and after each verb it writes a line; before it, it waits while a file says so.
    def compare_config(self):
        return self.verb("compare", super().compare_config)

    def commit_config(self, message="", revert_in=None):
        self.verb("commit", lambda: super(Driver, self).commit_config(message, revert_in))

    def confirm_commit(self):
        self.verb("confirm", super().confirm_commit)

    def verb(self, name, work):
        self.note(f"to-{name}")
        while (HERE / f"hold-{name}").exists() or (HERE / f"hold-{name}-{self.hostname}").exists():
            time.sleep(0.02)
        found = work()
        self.note(name)
        return found

    def note(self, what):
        with (HERE / "log").open("a") as log:
            log.write(f"{what} {self.hostname}\\n")
"""


class Trio:
    """A live sync of six devices by three workers, each of which has two of them in hand, not yet prepared."""

    def __init__(self, site: Platform, lab: Lab, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        (directory / "napalm_held.py").write_text(DRIVER)
        lab.template("hostname {{ host }}\nmotd {{ motd }}\n", platform="held")
        lab.workers = 2
        lab.add(*HOSTS, platform="held")
        site.env |= {"PYTHONPATH": str(directory), **QUICK}
        self.lab = lab
        self.site = site
        self.hold("compare")
        site.beat()
        self.workers: dict[str, Managed] = {name: site.worker(name, concurrency=1) for name in ("w1", "w2", "w3")}
        self.job = sync_devices.schedule(all=True, dry_run=False, confirm_mode=2)
        self.until("to-compare", HOSTS)
        assert sorted(Counter(self.names().values()).items()) == [("w1", 2), ("w2", 2), ("w3", 2)]

    def hold(self, verb: str, *hosts: str) -> None:
        for name in [f"hold-{verb}-{host}" for host in hosts] or [f"hold-{verb}"]:
            (self.directory / name).touch()

    def release(self, verb: str, *hosts: str) -> None:
        for name in [f"hold-{verb}-{host}" for host in hosts] or [f"hold-{verb}"]:
            (self.directory / name).unlink()

    def done(self, verb: str) -> list[str]:
        """Those that have done it, by their driver's log."""
        log = self.directory / "log"
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return sorted(host for what, host in lines if what == verb)

    def until(self, verb: str, hosts: list[str]) -> None:
        wait_until(lambda: self.done(verb) == sorted(hosts), timeout=60, message=lambda: str(self.done(verb)))

    def names(self) -> dict[str, str]:
        """Which worker has or had each device."""
        rows = JobDevice.objects.filter(job=self.job).values_list("host", "worker")
        return {host: (worker or "").partition("@")[0] for host, worker in rows}

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

    def changed(self) -> list[str]:
        """Devices whose configuration stays changed when every timer has run out."""
        for host in HOSTS:
            for file in (self.lab.state / "lab" / ".pending").glob(f"*/{host}"):
                os.utime(file, ns=(0, 0))
        return [host for host in HOSTS if LabDriver(host).get_config()["running"]]

    def others(self, *hosts: str) -> list[str]:
        return [host for host in HOSTS if host not in hosts]


@pytest.fixture
def trio(postgresql: object, rabbitmq: object, site: Platform, lab: Lab, tmp_path: Path) -> Trio:
    return Trio(site, lab, tmp_path / "drivers")


def test_who_dies_before_all_are_prepared_keeps_all_from_being_committed(trio: Trio) -> None:
    trio.hold("compare", "sw0")
    trio.release("compare")
    trio.until("compare", trio.others("sw0"))
    victim = next(host for host, name in trio.names().items() if name != trio.names()["sw0"])
    had = trio.kill_who_has(victim)
    trio.release("compare", "sw0")
    job = trio.ended()
    assert trio.done("commit") == []
    assert trio.changed() == []
    for host in HOSTS:
        words = "was lost" if host in had else "confirm_mode 2 is all devices or none"
        assert words in reason(job, host)


def test_who_dies_in_the_middle_of_the_commits_makes_all_of_them_revert(trio: Trio) -> None:
    trio.hold("commit", "sw0")
    trio.release("compare")
    trio.until("commit", trio.others("sw0"))
    victim = next(host for host, name in trio.names().items() if name != trio.names()["sw0"])
    had = trio.kill_who_has(victim)
    trio.release("commit", "sw0")
    job = trio.ended()
    assert trio.done("confirm") == []
    assert trio.changed() == []
    for host in HOSTS:
        words = "was lost in commit: the device reverts by itself by" if host in had else "all devices or none"
        assert words in reason(job, host)


def test_who_dies_after_all_may_confirm_fails_its_own_devices_alone(trio: Trio) -> None:
    had = [host for host, name in trio.names().items() if name == trio.names()["sw0"]]
    stays = trio.others(*had)[0]
    trio.hold("confirm", *had, stays)
    trio.release("compare")
    trio.until("confirm", trio.others(*had, stays))
    trio.until("to-confirm", HOSTS)
    assert sorted(trio.kill_who_has("sw0")) == sorted(had)
    trio.release("confirm", stays)
    job = trio.ended()
    assert trio.changed() == trio.others(*had)
    for host in had:  # the confirm may have reached it
        assert "was lost in confirm: its state is not known" in reason(job, host)
    failed = JobDevice.objects.filter(job=job, failed=True).values_list("host", flat=True)
    assert sorted(failed) == sorted(had)
    assert Counter(trio.done("commit")) == Counter(HOSTS)


def test_when_everything_dies_between_commit_and_confirm_every_device_reverts(trio: Trio) -> None:
    trio.hold("commit", "sw0")
    trio.release("compare")
    trio.until("commit", trio.others("sw0"))
    trio.site.kill()
    assert [host for host in HOSTS if LabDriver(host).has_pending_commit()] == trio.others("sw0")
    assert trio.changed() == []
    trio.site.beat()
    job = ended(trio.job.pk)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "WorkerLost")
    assert trio.done("confirm") == []
    for host in HOSTS:
        row = JobDevice.objects.get(job=job, host=host)
        assert "the device reverts by itself by" in (row.reason or "")
