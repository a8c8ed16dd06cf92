"""A job that real workers share, and their own log of it."""

from pathlib import Path
from typing import Any

from jobs.models import Job
from tests.fake_jobs.fleets import each_until_file
from tests.services.managed import Managed
from tests.services.processes import Platform
from tests.waiting import wait_until

QUICK = {
    "CNAASJOBS_HEARTBEAT_SECONDS": "0.2",
    "CNAASJOBS_UPKEEP_SECONDS": "0.6",
    "CNAASJOBS_WORKER_LOST_SECONDS": "3",
}


class Sync:
    """A job of so many devices, and the workers' log of it."""

    def __init__(self, scratch: Path, hosts: int, **arguments: Any) -> None:
        self.path = scratch / "go"
        self.hosts = [f"sw{number}" for number in range(hosts)]
        task = arguments.pop("task", each_until_file)
        self.job = task.schedule(hosts=self.hosts, path=str(self.path), **arguments)

    def lines(self, what: str) -> list[tuple[str, int]]:
        log = Path(f"{self.path}.log")
        found = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return [(device, int(pid)) for device, pid, kind in found if kind == what]

    def wait_for_processes(self, count: int) -> None:
        wait_until(lambda: len({pid for _, pid in self.lines("B")}) >= count, timeout=60)

    def ended(self) -> Job:
        wait_until(lambda: Job.objects.filter(pk=self.job.pk, finish_time__isnull=False).exists(), timeout=60)
        return Job.objects.get(pk=self.job.pk)


def workers(platform: Platform, *names: str, concurrency: int = 1) -> list[Managed]:
    return [platform.worker(name, env=QUICK, concurrency=concurrency) for name in names]
