"""What a store of jobs can do. Each database has a package of functions with this signature: mypy compares them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from jobs.outcome import Outcome
from jobs.run import Run, Standing
from jobs.sql.device_signature import DeviceStore
from jobs.sql.overview_signature import OverviewStore
from jobs.sql.position import Look, Position


class Claimant(NamedTuple):
    """Who claims, and the token of the run that it begins."""

    run_token: UUID
    worker_id: int | None
    worker: str


class Addressed(NamedTuple):
    """What a message needs of a job's row."""

    job_id: int
    task_name: str
    queue: str
    priority: int


class StoredOutcome(NamedTuple):
    """What an ended job left behind, as JSON text."""

    job_id: int
    result: str | None
    exception: str | None
    long: int | None  # size in bytes of a result that was too long to be fetched with the others


class LogBatch(NamedTuple):
    """Lines that a job's code logged, as one JSON text."""

    lines: int
    size: int  # bytes of what the lines say
    text: str


class FeedSpan(NamedTuple):
    """The jobs that ended at ``since`` or later, in the changes after ``above`` and up to ``upto``."""

    above: int
    upto: int
    since: datetime


class Alike(NamedTuple):
    """How many jobs of one function ended in the same way, with each of their four times in the same bucket.

    The times are, in this order: how long it ran, how late it started, how long it waited for a slot, and for its lock.
    None if it never started, or never waited for a lock. A negative one counts as 0.
    """

    function: str
    exception_type: str  # "" if they finished
    has_failed: bool  # they finished, but in each a device failed
    jobs: int
    buckets: tuple[int | None, ...]  # how many bounds are below it
    seconds: tuple[float | None, ...]  # all of them together


class Store(DeviceStore, OverviewStore, Protocol):
    # --- the two transitions of every job: only ``jobs.lifecycle`` calls these ----------------------------------------

    def claim(self, job_id: int, task_name: str, by: Claimant, *, lock_name: str | None) -> Run | None:
        """SCHEDULED → RUNNING, its lock taken, at once or not at all.

        Granted to a job of this task and this lock (or without one) that is due, if the lock is free and no job is
        ahead in its line. None means that nothing was changed, and does not say why. The lock's row is written before
        the job's.
        """
        ...

    def finish(self, run: Run, outcome: Outcome, *, next_job_id: int | None) -> bool:
        """RUNNING → FINISHED with its result, its lock released, at once.

        False, with nothing changed, if the run was over.
        """
        ...

    # --- messages -----------------------------------------------------------------------------------------------------

    def take_due(self, limit: int) -> list[Addressed]:
        """Mark up to ``limit`` due jobs as sent, the earliest first; the caller must send them.

        Rows that another process is taking are left to it.
        """
        ...

    def wake_first(self, lock_name: str) -> Addressed | None:
        """Unpark the first job in a lock's line and mark it as sent; None if none waits, or the first is not parked."""
        ...

    # --- runs and their outcomes --------------------------------------------------------------------------------------

    def standing_of(self, job_id: int) -> Standing | None:
        """What a safe point asks, read anew. None if the job is gone."""
        ...

    def outcomes(self, job_ids: Sequence[int], *, shorter_than: int | None = None) -> list[StoredOutcome]:
        """The outcomes of those jobs that have one.

        A result of ``shorter_than`` bytes or more may be left unread, see ``long``.
        """
        ...

    def result_in_parts(self, job_id: int, size: int) -> list[bytes]:
        """One result as UTF-8, fetched in parts of about this many bytes. Empty if there is none."""
        ...

    def delete(self, job_ids: Collection[int]) -> None:
        """Delete jobs with their outcomes and device rows. In the caller's transaction."""
        ...

    # --- totals: see ``jobs.sql.totals`` ------------------------------------------------------------------------------

    def kept_total(self, guessed_below: int) -> tuple[int, int, int | None]:
        """The watermark, the sum of all blocks below it, and how many jobs are above; None if the guess was wrong."""
        ...

    def count_from(self, job_id: int) -> int:
        """How many jobs there are with this id or a higher one."""
        ...

    def count_where(self, condition: str, parameters: Sequence[Any]) -> int:
        """How many jobs meet a condition made by Django's compiler."""
        ...

    def count_up_to(self, most: int, conditions: Sequence[tuple[str, str, Sequence[Any]]]) -> list[int]:
        """The same for each of several conditions with the order of an index, counted no further than ``most``."""
        ...

    def ids_up_to(self, most: int, conditions: Sequence[tuple[str, str, Sequence[Any]]]) -> list[int]:
        """The ids of jobs that meet one of them, at most ``most``. A job may meet only one."""
        ...

    def block_of(self, number: int) -> tuple[int, int, int]:
        """The block in which row ``number`` lies, how many rows lie before it, and how many in it."""
        ...

    def count_into_blocks(self, first: int, below: int, *, block: int) -> None:
        """Add the jobs with ids from ``first`` to below ``below`` to their blocks."""
        ...

    def transaction_number(self) -> int | None:
        """The number of this transaction: any other that took a job's id before now has a smaller one, or an older
        snapshot.

        None where there is one writer at a time, which is the caller.
        """
        ...

    def all_before_have_ended(self, number: int | None) -> bool:
        """Whether all transactions that were open when ``number`` was given out have ended, even those without one."""
        ...

    # --- what has ended, for metrics ----------------------------------------------------------------------------------

    def last_of(self, span: FeedSpan, count: int) -> int | None:
        """The change by which the first ``count`` jobs of the span had ended; None if the span has fewer."""
        ...

    def count_ended(self, span: FeedSpan, bounds: Sequence[float]) -> list[Alike]:
        """The jobs of the span, with each time in one of the buckets that ``bounds``, in seconds, lie between."""
        ...

    def count_devices(self, span: FeedSpan) -> tuple[int, int, int]:
        """How many devices of the span's jobs went well, failed, and were never finished."""
        ...

    # --- the log of a job ---------------------------------------------------------------------------------------------

    def append_log(self, run: Run, batch: LogBatch, *, most_lines: int, most_bytes: int) -> bool:
        """Add a batch. False, with nothing written, if the log would then have more lines or bytes than allowed, or if
        the job's row is not, or no longer, about this run.
        """
        ...

    # --- the change feed ----------------------------------------------------------------------------------------------

    def position(self) -> Position:
        """The feed's end: all that is visible now lies before it. A page that reads it first begins its stream there.

        Outside a transaction: it is asked for what others commit.
        """
        ...

    def look(self, since: Position, limit: int) -> Look:
        """What became visible since; ``changes`` is None from one more than ``limit`` on."""
        ...
