"""What a store answers to lists of jobs, each in one statement."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol


class Beating(NamedTuple):
    """A process that has not stopped."""

    kind: str
    is_alive: bool  # else it is silent
    queues: str  # JSON


class FailedDevices(NamedTuple):
    job_id: int
    devices: int
    failed: int


class Symptoms(NamedTuple):
    """What may be wrong."""

    beats: list[Beating]
    queues: list[str]  # on which messages are, or on which a job should have been sent
    late_id: int | None  # of the job that should have been sent longest ago
    exceptions: int
    devices: list[FailedDevices]  # of the last jobs that ended


class Far(NamedTuple):
    """How far a job is: counted from its device rows; a job without them has the JSON texts of its own row."""

    job_id: int
    devices: int
    done: int
    failed: int
    finished: str | None
    arguments: str | None


class Ran(NamedTuple):
    """A job that started."""

    job_id: int
    function_name: str
    lock_name: str | None
    status: str
    start: datetime
    finish: datetime | None

    @property
    def length(self) -> timedelta:
        return timedelta() if self.finish is None else self.finish - self.start


class OverviewStore(Protocol):
    def symptoms(
        self, *, alive: datetime, served: datetime, late: datetime, recent: datetime, newest: int, last: int
    ) -> Symptoms:
        """Looks at a bounded number of jobs.

        Args:
            alive: a process that was seen since then lives.
            served: a queue on which a job was due before then should have a worker.
            late: a job that was due before then should have been sent.
            recent: only what ended since then counts.
            newest: so many exceptions are looked at.
            last: so many jobs that ended are looked at for failed devices.
        """
        ...

    def how_far(self, job_ids: Sequence[int]) -> list[Far]:
        """How far these jobs are. Those with neither device rows nor finished devices are left out."""
        ...

    def ended_in_columns(self, since: datetime, width: timedelta, columns: int, *, most: int) -> list[Ran]:
        """Jobs that started and have ended since, the first ``most`` of each column of time."""
        ...
