"""A fleet whose jobs keep a ledger, with the product's thresholds divided by the factor of ``scale``."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from jobs.models import Job
from jobs.states import TERMINAL, Status
from jobs.testing import exception_of
from tests.chaos import ledger
from tests.chaos.ledger import VARIABLE, Event, Line
from tests.reliability.scale import thresholds
from tests.services.managed import Managed
from tests.services.processes import Platform
from tests.waiting import wait_until


class Fleet:
    """Workers, Beats and web servers to break."""

    def __init__(self, platform: Platform, directory: Path) -> None:
        self.platform = platform
        self.ledger = directory / "ledger"
        self.ledger.mkdir()
        self.directory = directory
        platform.env |= {VARIABLE: str(self.ledger), **thresholds()}

    def worker(self, name: str = "w1", *, concurrency: int = 2, env: dict[str, str] | None = None) -> Managed:
        return self.platform.worker(name, concurrency=concurrency, env=env)

    def beat(self, name: str = "beat", *, env: dict[str, str] | None = None) -> Managed:
        return self.platform.beat(name, env=env)

    def web(self) -> Managed:
        return self.platform.web()

    def children(self, worker: Managed) -> list[int]:
        return [child.pid for child in worker.children()]

    # --- the ledger ---------------------------------------------------------------------------------------------------

    def lines(self, *jobs: Job) -> list[Line]:
        ids = {job.pk for job in jobs}
        return [line for line in ledger.read(self.ledger) if line.job in ids]

    def begins(self, jobs: Iterable[Job]) -> Counter[int]:
        """How often the body of each began."""
        return Counter(line.job for line in self.lines(*jobs) if line.event is Event.BEGIN)

    def wait_for_any(self, jobs: Iterable[Job]) -> None:
        """Until one of their bodies has begun."""
        wait_until(lambda: self.begins(jobs), message="none has begun")

    def wait_for(self, event: Event, job: Job, *, count: int = 1, timeout: float = 20.0) -> Line:
        """The line of that event, once it is there ``count`` times."""

        def found() -> list[Line]:
            lines = [line for line in self.lines(job) if line.event is event]
            return lines if len(lines) >= count else []

        return wait_until(found, timeout=timeout, message=f"no {count} × {event} of job {job.pk}")[count - 1]


@pytest.fixture
def fleet(platform: Platform, scratch: Path) -> Fleet:
    return Fleet(platform, scratch)


def status_of(job: Job) -> str:
    """Read anew, also by a test whose own connection went with the database."""
    try:
        job.refresh_from_db()
    except OperationalError:
        connection.close()
    return job.status


def ended(job: Job, *, timeout: float = 30.0) -> Job:
    """The job, once it has ended."""
    wait_until(
        lambda: Status(status_of(job)) in TERMINAL,
        timeout=timeout,
        interval=0.05,
        message=lambda: f"{job} is still {job.status}",
    )
    return job


def lives(job: Job) -> bool:
    """It runs, and nobody has taken it for lost."""
    assert status_of(job) == "RUNNING", exception_of(job)
    return True


def finished(jobs: Iterable[Job], *, timeout: float = 30.0) -> None:
    """All of them, in time."""
    left = list(jobs)

    def over() -> bool:
        left[:] = [job for job in left if status_of(job) != "FINISHED"]
        return not left

    def state() -> str:
        return f"not finished: {[(job, job.status, exception_of(job)) for job in left[:5]]}"

    wait_until(over, timeout=timeout, interval=0.1, message=state)


def running(job: Job, *, timeout: float = 20.0) -> Job:
    wait_until(lambda: status_of(job) == "RUNNING", timeout=timeout, message=lambda: f"{job} is {job.status}")
    return job
