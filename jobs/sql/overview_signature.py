"""What a store knows about many jobs at once, for overviews: each answer is one statement."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol


class ProcessLife(NamedTuple):
    """A worker or Beat that has not stopped."""

    kind: str
    is_alive: bool  # False: it is silent
    queues: str  # JSON list


class FailedDevices(NamedTuple):
    job_id: int
    devices: int
    failed: int


class Symptoms(NamedTuple):
    """What may be wrong."""

    processes: list[ProcessLife]
    queues: list[str]  # on which messages are, or on which a job should have been sent
    late_id: int | None  # of the job that should have been sent longest ago
    exceptions: int
    devices: list[FailedDevices]  # of the last jobs that ended


class ProgressRow(NamedTuple):
    """How far a job is: numbers counted from its device rows, or, if it has none, the JSON texts of its own row."""

    job_id: int
    devices: int
    done: int
    failed: int
    finished: str | None
    arguments: str | None


class JobSpan(NamedTuple):
    """A job that has started, and when it ran."""

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
            newest: how many of the newest exceptions are looked at.
            last: how many of the last jobs that ended are looked at for failed devices.
        """
        ...

    def progress_rows(self, job_ids: Sequence[int]) -> list[ProgressRow]:
        """How far these jobs are. Those with neither device rows nor finished devices are left out."""
        ...

    def ended_in_columns(self, since: datetime, width: timedelta, columns: int, *, most: int) -> list[JobSpan]:
        """Jobs that started and have ended since, the first ``most`` of each column of time."""
        ...
