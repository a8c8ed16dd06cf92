"""The runs that this worker has in progress: from the moment a request may reach a child until its end is stored.

Celery's own sets forget requests when the broker's connection is lost, while their children work on. Thread-safe.
"""

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.worker.request import JobRequest

_requests: "dict[str, JobRequest]" = {}
_lock = threading.Lock()

forgotten_by_celery = 0  # of these: no longer in Celery's sets. Counted by jobs.worker.watch


def add(request: "JobRequest") -> None:
    with _lock:
        _requests[request.run_token] = request


def discard(request: "JobRequest") -> bool:
    """True if it was in progress until now."""
    with _lock:
        return _requests.pop(request.run_token, None) is not None


def snapshot() -> "list[JobRequest]":
    with _lock:
        return list(_requests.values())


def run_tokens() -> list[str]:
    with _lock:
        return list(_requests)
