"""The runs that this worker has in progress: from when a request may reach a child until its end is stored.

Celery's own sets forget requests when the connection to the broker is lost, while their children go on. Thread-safe.
"""

import threading
from typing import Generic, Protocol, TypeVar


class _HasToken(Protocol):
    run_token: str


Request = TypeVar("Request", bound=_HasToken)


class InProgress(Generic[Request]):
    def __init__(self) -> None:
        self._requests: dict[str, Request] = {}
        self._lock = threading.Lock()
        self.forgotten_by_celery = 0  # those of them no longer in Celery's sets; jobs.worker.watch counts them

    def add(self, request: Request) -> None:
        with self._lock:
            self._requests[request.run_token] = request

    def discard(self, request: Request) -> bool:
        """Returns True if it was in progress until now."""
        with self._lock:
            return self._requests.pop(request.run_token, None) is not None

    def snapshot(self) -> list[Request]:
        with self._lock:
            return list(self._requests.values())

    def run_tokens(self) -> list[str]:
        with self._lock:
            return list(self._requests)
