"""Watches over the runs in progress, whatever the broker or the worker's event loop do.

It deals with children that died, time limits, and the grace period of a shutdown.
"""

import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

from celery.worker import state

from cnaasjobs.conf import conf
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.body.cells import Stage, read, tell_to_leave
from jobs.end_reasons import EndReason
from jobs.worker.ends import reporter
from jobs.worker.heartbeat import heartbeat
from jobs.worker.processes import UNKNOWN, exit_status, kill_and_wait
from jobs.worker.request import JobRequest, in_progress

_LOOK_SECONDS: Final = 0.1
_STRIKE_AGAIN_SECONDS: Final = 1.0
_UNKNOWN_END_SECONDS: Final = 2.0  # after that Celery, which collected the child, will not tell us
_EXIT_SECONDS: Final = 5.0  # for Celery's own shutdown, once there is nothing of ours to wait for
_FAREWELL_SECONDS: Final = 5.0

_BUSY = frozenset({Stage.CLAIMING, Stage.RUNNING, Stage.STORING})


class Watch(threading.Thread):
    """One thread for all runs of this worker.

    Not a daemon thread: Python waits for it before the process exits, so that every end is reported.
    """

    def __init__(self, worker: Any) -> None:
        super().__init__(name="jobs-watch", daemon=False)
        self._worker = worker
        self._struck: dict[str, float] = {}  # run token -> when SIGUSR1 was last sent
        self._found_dead: dict[str, float] = {}
        self._stopping_since: float | None = None
        self._settled_since: float | None = None

    def run(self) -> None:
        while True:
            try:
                if self._look():
                    break
            except Exception as exc:  # noqa: BLE001  a bug here must not leave the worker without its watch
                record(JobAction.SUPERVISION_FAILED, exc=exc)
            time.sleep(_LOOK_SECONDS)
        heartbeat.farewell(seconds=_FAREWELL_SECONDS)

    def _look(self) -> bool:
        """One round; True when the process may end."""
        forgotten = 0
        now = time.monotonic()
        requests = in_progress.snapshot()
        tokens = {request.run_token for request in requests}
        for request in requests:
            if request.end_reported:
                continue
            forgotten += self._is_running_forgotten(request)
            if request.stage in _BUSY and not self._died(request, now):
                self._limit(request, now)
        in_progress.forgotten_by_celery = forgotten
        self._struck = {token: at for token, at in self._struck.items() if token in tokens}
        self._found_dead = {token: at for token, at in self._found_dead.items() if token in tokens}
        return self._shut_down(now)

    # --- children -----------------------------------------------------------------------------------------------------

    def _is_running_forgotten(self, request: JobRequest) -> bool:
        """Whether a child works on a request that Celery dropped together with its connection to the broker."""
        if not request.is_forgotten():
            return False
        stage = request.stage
        if stage is Stage.DONE or (stage is Stage.WAITING and (request.never_left() or not _has_reader(request))):
            request.over()
            return False
        return True

    def _died(self, request: JobRequest, now: float) -> bool:
        pid = request.pid
        how = None if pid is None else exit_status(pid, self._children())
        if how is None:
            return False
        since = self._found_dead.setdefault(request.run_token, now)
        if how != UNKNOWN or now - since > _UNKNOWN_END_SECONDS:
            reporter.report(request, type=EndReason.WORKER_LOST, message=request.lost_message(how), pid=pid)
        if since == now and self._worker.hub is not None:  # Celery may have looked too early, and looks again in 5 s
            self._worker.hub.call_soon(self._worker.pool.maintain_pool)
        return True

    def _children(self) -> list[Any]:
        return list(getattr(getattr(self._worker.pool, "_pool", None), "_pool", []))

    # --- time limits --------------------------------------------------------------------------------------------------

    def _limit(self, request: JobRequest, now: float) -> None:
        told = read(request.cell)
        if told is None or told.stage is not Stage.RUNNING:
            return
        ran, soft, hard = now - told.began, request.task.job_soft_time_limit, request.task.job_time_limit
        if hard is not None and ran >= hard:
            request.cut_off(
                EndReason.TIME_LIMIT_EXCEEDED, f"the job ran longer than its time limit of {hard:g} seconds"
            )
        elif soft is not None and ran >= soft and not told.soft_limit_struck:
            self._strike(request.run_token, told.pid, now)

    def _strike(self, token: str, pid: int, now: float) -> None:
        last = self._struck.get(token)
        if last is None or now - last >= _STRIKE_AGAIN_SECONDS:
            self._struck[token] = now
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)

    # --- shutdown -----------------------------------------------------------------------------------------------------

    def _shut_down(self, now: float) -> bool:
        main_ended = not threading.main_thread().is_alive()
        if not (main_ended or _stop_was_asked()):
            return False
        if self._stopping_since is None:
            self._stopping_since = now
        grace = 0.0 if main_ended or _stop_at_once() else conf.shutdown_grace_seconds
        grace_over = now - self._stopping_since >= grace
        for request in in_progress.snapshot():
            tell_to_leave(request.cell)
        busy = [request for request in in_progress.snapshot() if request.end_reported or request.stage in _BUSY]
        if grace_over:
            self._cut_off(busy, grace)
        if busy or not reporter.is_idle:
            self._settled_since = None
            return False
        if main_ended:
            return True
        if self._settled_since is None:
            self._settled_since = now
        if now - self._settled_since >= _EXIT_SECONDS and (grace_over or not _runs_plain_tasks()):
            self._leave()
        return False

    def _cut_off(self, busy: list[JobRequest], grace: float) -> None:
        for request in busy:
            # The result of a finished body waits for the database as long as necessary.
            if request.stage is not Stage.STORING and not request.end_reported:
                message = f"worker {request.hostname} was shut down; the job had {grace:g} seconds to finish"
                request.cut_off(EndReason.WORKER_SHUTDOWN, message)
        for plain in _plain_tasks():
            if plain.worker_pid is not None:
                kill_and_wait([plain.worker_pid], seconds=1)

    def _leave(self) -> None:
        """Exit without Celery, whose own shutdown hangs: most likely the broker does not answer."""
        record(JobAction.BROKER_LEFT)
        heartbeat.farewell(seconds=_FAREWELL_SECONDS)
        kill_and_wait([child.pid for child in self._children()], seconds=2)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _has_reader(request: JobRequest) -> bool:
    """Whether the child whose pipe holds the request is alive, and will read it."""
    child = getattr(request.pool_result, "_write_to", None)
    return child is not None and child.pid is not None and exit_status(child.pid, [child]) is None


def _stop_was_asked() -> bool:
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))


def _stop_at_once() -> bool:
    return state.should_terminate is not None and state.should_terminate is not False


def _plain_tasks() -> list[Any]:
    """Running tasks that are not jobs."""
    for _ in range(3):
        try:
            return [request for request in state.active_requests if not isinstance(request, JobRequest)]
        except RuntimeError:  # the main thread changed the set
            continue
    return []


def _runs_plain_tasks() -> bool:
    return bool(_plain_tasks())
