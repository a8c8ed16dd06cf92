"""``ctx``: what a body may ask of the platform while it runs. Any of its threads may call any method."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NoReturn

from celery.exceptions import Retry
from django.db import Error, transaction

from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.body import finished_devices
from jobs.body.finished_devices import FinishedDevices
from jobs.body.fresh import fresh
from jobs.body.job_log import JobLog
from jobs.body.membership import Membership
from jobs.body.shared_connection import SharedConnection
from jobs.body.shared_read import SharedRead
from jobs.body.tasks import RetryingTask
from jobs.end_reasons import Failure
from jobs.errors import JobAborted, JobStopped, LockLost, TimeLimitExceeded
from jobs.fleet.ends import EndedElsewhere, RunTaken
from jobs.fleet.hands import Within, in_hand
from jobs.fleet.result import Done
from jobs.run import Run
from jobs.sql import store
from jobs.sql.device_signature import FleetStanding
from jobs.sql.signature import LogBatch
from locks import service as locks

_RETRY_SECONDS = 0.5  # between two attempts to reach a database that is away


class JobContext:
    """One run of one job, as its body sees it."""

    def __init__(self, run: Run, *, joined: bool = False) -> None:
        """``joined``: others run this body already, and this process helps them."""
        self.job_id = run.job_id
        self.attempt = run.attempt
        self.worker = run.worker
        self.scheduled_by = run.scheduled_by
        self.comment = run.comment
        self.ticket_ref = run.ticket_ref
        self.task: RetryingTask | None = None
        self.retry_asked: Retry | None = None
        self.finished_devices = FinishedDevices(self._write_progress)
        self.log = JobLog(self._write_log)
        self.result_until: Callable[[BaseException], Any] | None = None
        self._run = run
        self._stop = threading.Event()
        self._stop_reason: JobStopped | None = None
        self._connection = SharedConnection()
        self._threads_before = set(threading.enumerate())
        self.abandoned: list[threading.Thread] = []
        self.membership = Membership(self, run, joined=joined)
        self._standing = SharedRead(self.membership.standing)

    def device_finished(self, device: str) -> None:
        """Report a device as done. ``finished_devices`` shows it within ``CNAASJOBS_PROGRESS_SECONDS``."""
        self.finished_devices.device_finished(device)

    def each(
        self,
        devices: Sequence[Any],
        *steps: Callable[[Any], Any],
        at_once: int = 20,
        seconds: float | None = None,
        lost: Callable[[Any, str], Any] | None = None,
        hung: Callable[[Any, str], Any] | None = None,
        back: Callable[[Any, str], Any] | None = None,
        leaving: Callable[[], None] = lambda: None,
        beforehand: Callable[[Sequence[Any]], None] = lambda devices: None,
        all_or_none: bool = False,
        reads_first: bool = False,
        within: float | None = None,
        alike: str = "",
    ) -> Done:
        """Do the steps on every device: in threads of this process, and of others that help. Once in a body.

        A step gets the device and returns its report, anything JSON holds, or a ``DeviceResult``. ``DeviceFailed``, or
        any exception, fails that device alone. A safe point comes before each device and each step. A step that is not
        the last returns None if there is more to do on the device.

        Everything before this call happens in each process that helps: load what is needed there, change nothing. What
        comes after it happens once, in the last process, when every device is over; in the others this call does not
        return (``finally`` and ``with`` around it still run).

        Args:
            devices: names, or objects with a ``name``, no two alike, each of 1 to 255 characters.
            at_once: how many of them in each process at most.
            seconds: if a step on a device takes longer, it hangs: the device failed, and its process ends with the job.
            lost: gets a device whose process was lost and, in words, what is known of it; returns its report.
            hung: gets a device whose thread hangs, and the step in which it does; returns its report.
            back: gets a device in hand that takes no further step, and why; returns its report.
            leaving: called, perhaps more than once, before this process leaves the job or ends it, with nothing in
                hand: the last moment to store what is known of its devices; again after a crash of the database.
            beforehand: called with devices that come next, before their first step: for what is cheaper for many at
                once. What it raises is only logged, and it must not take long.
            all_or_none: a step begins when all devices are over in the one before it, and none has failed.
            reads_first: no step changes its device before it has called ``about_to``: then it is begun sooner.
            within: with ``all_or_none``, how many seconds a step after the first may take, all devices together.
            alike: what must be the same in every process besides devices and steps, such as a hash of templates.

        Raises:
            ValueError: a name is empty, too long or there twice; another argument won't do. RuntimeError: called twice.
            JobStopped: the job may not go on. Let it pass.
        """
        options = {"at_once": at_once, "seconds": seconds, "lost": lost, "hung": hung, "back": back, "within": within}
        whole = {"leaving": leaving, "beforehand": beforehand, "all_or_none": all_or_none, "reads_first": reads_first}
        return self.membership.each(devices, steps, alike=alike, **whole, **options)

    def about_to(self, step: str, *, if_lost: str | None = None) -> None:
        """The safe point of a function that ``each`` called, just before it changes its device.

        The step is written with the device: if the process is lost from here on, the device failed with "… was lost in
        <step>: " and ``if_lost``, such as "it reverts by itself by 10:42 UTC", or "its state is not known".

        Raises:
            JobStopped: the job, or this process's part in it, may not go on: leave the device as it is, let it pass.
        """
        self._pass(lambda: self.membership.about_to(step, if_lost))

    def patience(self, seconds: float, at: str) -> AbstractContextManager[None]:
        """For a function that ``each`` called: inside the ``with``, its device counts as hung after so many seconds."""
        piece = in_hand()
        return contextlib.nullcontext() if piece is None else Within(piece, seconds, at)

    def keep(self, result_until: Callable[[BaseException], Any]) -> None:
        """If the body raises, this function gets the exception; what it returns is stored as the job's result.

        For what is known in spite of the exception: about devices that were done, or the one that was being worked on.
        """
        self.result_until = result_until

    def checkpoint(self) -> None:
        """A safe point: ask the database anew whether this run may go on. Waits while the database is away.

        Call it before each device, and before each commit and confirm on one.

        Raises:
            JobStopped: the job may not go on (JobAborted, LockLost, TimeLimitExceeded say why). Let it leave the body.
        """
        self._pass(self._standing)

    def _pass(self, ask: Callable[[], FleetStanding]) -> None:
        self.judge(self.answer(ask))
        self._raise_if_stopping()

    def answer(self, ask: Callable[[], Any]) -> Any:
        """Ask until the database answers. Raises JobStopped if the run is told to stop meanwhile."""
        while True:
            self._raise_if_stopping()
            try:
                return fresh(ask, job_id=self.job_id)
            except Error as exc:
                if not not_now(exc):
                    raise
                record(JobAction.CHECKPOINT_WAITS, job_id=self.job_id, error=str(exc))
                self._stop.wait(_RETRY_SECONDS)

    def judge(self, seen: FleetStanding) -> None:
        """Decide whether this run may go on, by what was read at a safe point."""
        if not seen.is_mine:
            self.stop(RunTaken(f"this run of job {self.job_id} was ended by somebody else"))
        elif seen.fence != self._run.fence:
            self.stop(self._lock_lost())
        elif seen.abort_reason is not None:
            self.stop(JobAborted(seen.abort_reason))
        elif seen.end is not None:
            self.stop(EndedElsewhere(Failure.parsed(seen.end).message))

    def holds_lock(self) -> bool:
        """Whether its lock is still held under this run's fencing token; also False when the database can't say."""
        try:
            seen = fresh(self._standing, job_id=self.job_id)
        except Error:
            return False
        return seen.is_mine and seen.fence is not None and seen.fence == self._run.fence

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
            if not self.membership.standing().is_mine:
                raise RunTaken(f"this run of job {self.job_id} was ended by somebody else")
            yield

    @property
    def stopping(self) -> bool:
        """Whether a thread of this job was already told to stop. Cheap: does not ask the database."""
        return self._stop_reason is not None

    def next_stop(self, timeout: float) -> bool:
        """Sleep for ``timeout`` seconds, or until the job is told to stop; True if it was."""
        return self._stop.wait(timeout) or self.stopping

    def stop(self, reason: JobStopped) -> None:
        """Let every other thread's next checkpoint raise ``reason``. The first reason stays."""
        self._stop_reason = self._stop_reason or reason
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

    def database(self) -> AbstractContextManager[None]:
        """Django's ORM in a thread of the job, on the one connection that these threads share, one at a time.

        The body's own thread uses its own connection, as always.
        """
        return self._connection.use()

    def database_for_threads(self, *, both: bool) -> AbstractContextManager[None]:
        return self._connection.both() if both else self._connection.lent()

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
        """End what this run has with the database: no thread of it may use that any more."""
        self.finished_devices.close()
        self._connection.close()

    def _lock_lost(self) -> LockLost:
        return LockLost.of(self._run.lock_name)

    def _raise_if_stopping(self) -> None:
        if self._stop_reason is not None:
            self._stop.set()  # a signal's handler could not
            raise type(self._stop_reason)(*self._stop_reason.args)

    def soft_limit_strikes(self) -> TimeLimitExceeded:
        """The soft limit was reached. A signal's handler may call it in the middle of anything: it takes no lock."""
        limit = getattr(self.task, "job_soft_time_limit", None)
        reason = TimeLimitExceeded(f"the job ran longer than its soft time limit of {limit} seconds")
        self._stop_reason = self._stop_reason or reason
        return reason

    def soft_limit_reached(self) -> TimeLimitExceeded:
        """The same in the body's own thread; it also wakes threads that sleep in ``next_stop``."""
        reason = self.soft_limit_strikes()
        self.stop(reason)
        return reason

    def told_to_leave(self) -> bool:
        return self.membership.told_to_leave()

    @property
    def stop_reason(self) -> JobStopped | None:
        """Why it was told to stop."""
        return self._stop_reason

    def _write_progress(self, devices: str) -> None:
        with self.database():
            finished_devices.write(self._run, devices)

    def _write_log(self, batch: LogBatch, most_lines: int, most_bytes: int) -> bool:
        with self.database():
            return store().append_log(self._run, batch, most_lines=most_lines, most_bytes=most_bytes)
