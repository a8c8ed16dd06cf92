"""What this room needs of the context of a run (``jobs.body.context``)."""

from contextlib import AbstractContextManager
from threading import Thread
from typing import Protocol

from jobs.errors import JobStopped, TimeLimitExceeded
from jobs.sql.device_signature import FleetStanding


class Safety(Protocol):
    """What a thread needs of the run's context."""

    job_id: int

    @property
    def stopping(self) -> bool: ...

    def checkpoint(self) -> None: ...

    def about_to(self, step: str, *, if_lost: str | None = None) -> None: ...

    def holds_lock(self) -> bool: ...


class Body(Safety, Protocol):
    """What a participant needs of it, beside what its threads do."""

    @property
    def stop_reason(self) -> JobStopped | None: ...

    def stop(self, reason: JobStopped) -> None: ...

    def soft_limit_reached(self) -> TimeLimitExceeded: ...

    def judge(self, seen: FleetStanding) -> None: ...

    def told_to_leave(self) -> bool: ...

    def abandon(self, thread: Thread) -> None: ...

    def database(self) -> AbstractContextManager[None]: ...
