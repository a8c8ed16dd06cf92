"""What this room needs of a task: ``jobs.task.JobTask`` is one."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from jobs.schedulable import Schedulable


class RetryingTask(Protocol):
    """What ``ctx`` needs of it."""

    def retry(
        self, *, exc: Exception | None, countdown: float | None, eta: datetime | None, max_retries: int | None
    ) -> Any: ...


class BodyTask(RetryingTask, Schedulable, Protocol):
    """What a run needs of it."""

    run: Callable[..., Any]
    job_soft_time_limit: float | None

    def require_fit(self, kwargs: Mapping[str, Any]) -> None: ...

    @property
    def request(self) -> Any: ...
