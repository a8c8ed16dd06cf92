"""``ctx``: what a body may ask of the platform while it runs. Any of its threads may call any method."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NoReturn, Protocol

from celery.exceptions import Retry
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from cnaasjobs.db.not_now import not_now, part_with
from cnaasjobs.events import record
from jobs import run
from jobs.actions import JobAction
from jobs.body.fresh import fresh
from jobs.body.job_log import JobLog
from jobs.body.progress import Progress
from jobs.body.shared_read import SharedRead
from jobs.errors import JobAborted, JobStopped, LockLost, TimeLimitExceeded
from jobs.run import Run
from jobs.sql import store
from jobs.sql.signature import LogBatch
from locks import service as locks

_RETRY_SECONDS = 0.5  # between two attempts to reach a database that is away


class RetryingTask(Protocol):
    """What ``ctx`` needs of its task."""

    def retry(
        self, *, exc: Exception | None, countdown: float | None, eta: datetime | None, max_retries: int | None
    ) -> Any: ...


class JobContext:
    """One run of one job, as its body sees it."""

    def __init__(self, run: Run) -> None:
        self.job_id = run.job_id
        self.attempt = run.attempt
        self.worker = run.worker
        self.scheduled_by = run.scheduled_by
        self.comment = run.comment
        self.ticket_ref = run.ticket_ref
        self.task: RetryingTask | None = None
        self.retry_asked: Retry | None = None
        self.progress = Progress(self._write_progress)
        self.log = JobLog(self._write_log)
        self.result_until: Callable[[BaseException], Any] | None = None
        self._run = run
        self._stop = threading.Event()
        self._stop_reason: JobStopped | None = None
        self._own_thread = threading.get_ident()
        self._threads_before = set(threading.enumerate())
        self.abandoned: list[threading.Thread] = []
        self._shared: BaseDatabaseWrapper | None = None
        self._shared_mutex = threading.RLock()
        self._standing = SharedRead(self._read_standing)

    def device_finished(self, device: str) -> None:
        """Report a device as done; ``finished_devices`` shows it within two seconds."""
        self.progress.device_finished(device)

    def keep(self, result_until: Callable[[BaseException], Any]) -> None:
        """If the body raises, store what this function makes of the exception beside it, as the job's result.

        For what is known in spite of the exception: about devices that were done, or the one that was being worked on.
        """
        self.result_until = result_until

    def checkpoint(self) -> None:
        """A safe point: ask the database anew whether this run may go on. Waits while the database is away.

        Call it before each device, and before each commit and confirm on one.

        Raises:
            JobAborted, LockLost, TimeLimitExceeded: stop now; let the exception leave the body.
        """
        while True:
            self._raise_if_stopping()
            try:
                standing = fresh(self._standing, job_id=self.job_id)
            except Error as exc:
                if not not_now(exc):
                    raise
                record(JobAction.CHECKPOINT_WAITS, job_id=self.job_id, error=str(exc))
                self._stop.wait(_RETRY_SECONDS)
                continue
            break
        if standing is None or standing.run_token != self._run.run_token:
            self._stop_with(LockLost(f"this run of job {self.job_id} was ended by somebody else"))
        elif self._run.fence is not None and standing.fence != self._run.fence:
            self._stop_with(self._lock_lost())
        elif standing.abort_reason is not None:
            self._stop_with(JobAborted(standing.abort_reason))

    def holds_lock(self) -> bool:
        """Whether its lock is still held under this run's fencing token; also False when the database can't say."""
        try:
            standing = fresh(self._standing, job_id=self.job_id)
        except Error:
            return False
        return standing is not None and standing.fence is not None and standing.fence == self._run.fence

    @contextlib.contextmanager
    def guarded_by_lock(self) -> Iterator[None]:
        """A transaction during which the lock stays ours: what it writes is stored before the next holder begins.

        Raises:
            LockLost: it is no longer held under this run's fencing token; nothing was written.
        """
        lock, fence = self._run.lock_name, self._run.fence
        with self.database(), transaction.atomic():
            if lock is None or fence is None or not locks.keep(lock, holder_id=self.job_id, fence=fence):
                raise self._lock_lost()
            yield

    @property
    def stopping(self) -> bool:
        """Whether a thread of this job was already told to stop. Cheap: does not ask the database."""
        return self._stop.is_set()

    def next_stop(self, timeout: float) -> bool:
        """Sleep for ``timeout`` seconds, or until the job is told to stop; True if it was."""
        return self._stop.wait(timeout)

    def stop(self, reason: JobStopped) -> None:
        """Let every other thread's next checkpoint raise ``reason``. The first reason stays."""
        if self._stop_reason is None:
            self._stop_reason = reason
        self._stop.set()

    def retry(
        self,
        *,
        exc: Exception | None = None,
        countdown: float | None = None,
        eta: datetime | None = None,
        max_retries: int | None = None,
    ) -> NoReturn:
        """End this attempt and ask for another, by the rules of Celery's ``Task.retry``.

        Raises:
            celery.exceptions.Retry: let it leave the body. ``exc``, or MaxRetriesExceededError, when no attempt is
            left.
        """
        if self.task is None:
            raise RuntimeError("ctx.retry can only be called in a running body")
        self.task.retry(exc=exc, countdown=countdown, eta=eta, max_retries=max_retries)
        raise RuntimeError("Celery's retry returned")

    @contextlib.contextmanager
    def database(self) -> Iterator[None]:
        """Django's ORM in a thread of the job, on the one connection that these threads share, one at a time.

        The body's own thread uses its own connection, as always.
        """
        if threading.get_ident() == self._own_thread:
            with _usable(connections[DEFAULT_DB_ALIAS]):
                yield
            return
        with self._shared_mutex:
            if self._shared is None:
                self._shared = connections.create_connection(DEFAULT_DB_ALIAS)
                self._shared.inc_thread_sharing()
            before = getattr(connections._connections, DEFAULT_DB_ALIAS, None)  # type: ignore[attr-defined]
            connections[DEFAULT_DB_ALIAS] = self._shared
            try:
                with _usable(self._shared):
                    yield
            finally:
                if before is None:
                    del connections[DEFAULT_DB_ALIAS]
                else:
                    connections[DEFAULT_DB_ALIAS] = before

    def abandon(self, thread: threading.Thread) -> None:
        """A thread of the body hangs, and nothing can end it: the job does not wait for it, and its process ends with
        the job.

        The body must make sure that the thread does no harm if it comes back before that.
        """
        self.abandoned.append(thread)

    def wait_for_threads(self) -> None:
        """The body has ended: wait until no thread that it left behind can still change a device."""
        others = {*self._threads_before, *self.abandoned, threading.current_thread()}
        left = [thread for thread in threading.enumerate() if thread not in others and not thread.daemon]
        if left:
            self.stop(LockLost(f"the body of job {self.job_id} has ended"))
        for thread in left:
            thread.join()

    def close(self) -> None:
        """No thread of this run touches the database any more."""
        self.progress.close()
        with self._shared_mutex:
            if self._shared is not None:
                with contextlib.suppress(Error):
                    self._shared.close()
                self._shared = None

    def _lock_lost(self) -> LockLost:
        return LockLost(f"lock {self._run.lock_name} was cleared or taken over")

    def _raise_if_stopping(self) -> None:
        if self._stop.is_set() and self._stop_reason is not None:
            raise type(self._stop_reason)(*self._stop_reason.args)

    def _stop_with(self, reason: JobStopped) -> NoReturn:
        self.stop(reason)
        raise self._stop_reason or reason

    def time_limit_reached(self, limit: float | None) -> TimeLimitExceeded:
        """The soft limit was reached in the body's own thread: its other threads stop before their next device."""
        reason = TimeLimitExceeded(f"the job ran longer than its soft time limit of {limit} seconds")
        self.stop(reason)
        return reason

    def _read_standing(self) -> run.Standing | None:
        with self.database():
            return store().standing_of(self.job_id)

    def _write_progress(self, devices: str) -> None:
        with self.database():
            run.write_progress(self.job_id, self._run.run_token, devices)

    def _write_log(self, batch: LogBatch, most_lines: int, most_bytes: int) -> bool:
        with self.database():
            return store().append_log(self.job_id, batch, most_lines=most_lines, most_bytes=most_bytes)


@contextlib.contextmanager
def _usable(connection: Any) -> Iterator[None]:
    """Close a broken connection, so that the next use opens a new one."""
    try:
        yield
    except Error as exc:
        if not_now(exc):
            part_with(connection)
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        raise
