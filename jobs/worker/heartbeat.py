"""The worker's heartbeat: it shows that the worker is alive, the queues it serves, and its runs in progress.

Written by its own thread on its own database connection: neither a broker that is away nor a busy event loop makes a
worker look dead.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from django.db import Error

from cnaasjobs.conf import conf
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.liveness.heartbeat import OwnHeartbeat
from jobs.worker import connections

_RETRY_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 10.0


class WorkerHeartbeat(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="jobs-heartbeat", daemon=True)
        self._row = OwnHeartbeat("worker", "")
        self._queues: Callable[[], list[str]] = list
        self._concurrency: Callable[[], int] = int
        self._run_tokens: Callable[[], list[str]] = list
        self._stop_asked = threading.Event()
        self._logged_at = -_LOG_SECONDS

    @property
    def row_id(self) -> int | None:
        return self._row.row_id

    def enlist(self, worker: Any, run_tokens: Callable[[], list[str]], give_up: Callable[[], None]) -> None:
        """Write the first beat, however long the database takes.

        Args:
            run_tokens: returns the tokens of the runs in progress; called at each beat.
            give_up: called now and then; raises to end the wait.
        """
        self._row.name = worker.hostname
        self._queues = lambda: sorted(worker.app.amqp.queues.consume_from)
        self._concurrency = lambda: _size_of(worker.pool)
        self._run_tokens = run_tokens
        while not self._wrote():
            give_up()
            self._stop_asked.wait(_RETRY_SECONDS)
        connections.close()  # the thread has its own connection

    def run(self) -> None:
        while not self._stop_asked.wait(conf.heartbeat_seconds):
            try:
                self._wrote()
            except Exception as exc:  # noqa: BLE001  without heartbeats the jobs of a live worker would be taken from it
                record(JobAction.HEARTBEAT_FAILED, exc=exc)

    def farewell(self, *, seconds: float) -> None:
        """Say that this worker has stopped, and write no further beat. Call it when every run was reported.

        It takes at most twice this long. If the mark could not be written, upkeep finds the worker gone later.
        """
        self._stop_asked.set()
        if self.is_alive():
            self.join(seconds)
        # In its own thread, which nobody need wait for: the database may have gone away meanwhile.
        last = threading.Thread(target=self._mark_stopped, daemon=True)
        last.start()
        last.join(seconds)

    def _wrote(self) -> bool:
        try:
            with connections.in_main_process():
                self._beat()
        except Error as exc:  # whatever the error is: this also waits for a database that is not migrated yet
            if time.monotonic() - self._logged_at > _LOG_SECONDS:
                self._logged_at = time.monotonic()
                record(JobAction.HEARTBEAT_WAITS, error=str(exc))
            connections.close()
            return False
        return True

    def _beat(self) -> None:
        self._row.beat(
            queues=json.dumps(self._queues()),
            concurrency=self._concurrency(),
            run_tokens=json.dumps(self._run_tokens()),
        )

    def _mark_stopped(self) -> None:
        try:
            with connections.in_main_process():
                self._row.farewell()
        except Error as exc:
            record(JobAction.FAREWELL_FAILED, error=str(exc))
        connections.close()


def _size_of(pool: Any) -> int:
    """How many children the pool has: none after it was stopped."""
    return int(pool.num_processes) if getattr(pool, "_pool", None) is not None else 0


heartbeat = WorkerHeartbeat()
