"""A run's part in ``ctx.each``: whether this process is a participant, and what its threads then ask the database."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from cnaasjobs.events import record
from cnaasjobs.secrecy import masker, storable
from jobs.actions import JobAction
from jobs.body import cells, posix_signals
from jobs.body.shared_read import SharedCall
from jobs.end_reasons import Failure
from jobs.errors import JobStopped
from jobs.fleet.asking import until_answered
from jobs.fleet.assignment import Assignment, found_to_differ
from jobs.fleet.body import Body
from jobs.fleet.each import Each
from jobs.fleet.ends import EndMet, GivenBack, Left
from jobs.fleet.hands import in_hand
from jobs.fleet.result import Done
from jobs.run import Run
from jobs.sql import store
from jobs.sql.device_signature import Batch, FleetStanding, Leaving, Note

_LONGEST_STEP: Final = 64
_LONGEST_WHY: Final = 1000
# While other devices are in hand, wait this long for their notes, as PostgreSQL's commit_delay does for commits. It is
# short beside the time that a device takes, and saves statements; more notes gather while the previous statement runs.
_GATHER_SECONDS: Final = 0.001
_FEW: Final = 4  # with more devices in hand it waits, as with PostgreSQL's commit_siblings


class _Context(Body, Protocol):
    task: Any

    def database_for_threads(self, *, both: bool) -> AbstractContextManager[None]: ...


class Membership:
    """One process's part in one run, from ``each`` (or from the start, if it joined others) to the end of ``each``."""

    def __init__(self, ctx: _Context, run: Run, *, joined: bool) -> None:
        self.is_on = joined
        self.joined = joined
        self.result: tuple[str | None, int] | None = None  # of the last one out: the job's result, and its length
        self.finished: list[str] | None = None  # likewise the devices that are over
        self.end_met: Exception | None = None  # what ``each`` raised to end this body
        self._broke: Exception | None = None  # what else it raised
        self._ctx = ctx
        self._run = run
        self._called = False
        self._repeats = False  # if this process is lost, the devices in its hands are begun again
        self._noted: set[int] = set()  # ids of devices with a step
        self._each: Each | None = None
        self._note_together: SharedCall[Note, FleetStanding] | None = None  # from ``each`` on: few jobs call it

    def each(self, devices: Sequence[Any], steps: Sequence[Callable[[Any], Any]], **options: Any) -> Done:
        if self._called:
            raise RuntimeError("ctx.each can be called once in a job")
        # With all_or_none nothing is repeated: the participants that would take such a device are waiting for it
        # themselves.
        self._repeats = self._may_be_repeated() and not options["all_or_none"]
        assignment = Assignment.of(devices, steps, helpers=self._helpers(), repeats=self._repeats, **options)
        self._called = True  # a failure before this line is this process's alone
        if not assignment.devices and not self.joined:
            self.result, self.finished = ('{"devices": {}}', 0), []
            return Done(devices=0, failed=0, max_score=0)
        self._note_together = SharedCall(self._note, gather=self._gather_seconds)
        each = Each(self._ctx, self._run, assignment, worker_id=getattr(self._request, "worker_id", None))
        joined, self.is_on, self._each = self.is_on, True, each
        try:
            done = posix_signals.undisturbed(lambda: self._in_each(each, joined), struck=each.strike)
        except Left:
            self.is_on = False
            record(JobAction.LEAVE, job_id=self._run.job_id, worker=self._run.worker)
            raise
        except (JobStopped, EndMet) as exc:
            self.end_met = exc
            raise
        except Exception as exc:
            self._broke = exc
            raise
        finally:
            if each.stored is not None:
                self.result, self.finished, self.is_on = each.stored, each.finished, False
        return done

    def _in_each(self, each: Each, joined: bool) -> Done:
        with self._ctx.database_for_threads(both=each.needs_two):
            return each.run(joined=joined)

    def standing(self) -> FleetStanding:
        """Read again what a safe point asks for."""
        with self._ctx.database():
            if self.is_on:
                return store().fleet_standing(self._run)
            found = store().standing_of(self._run.job_id)
        if found is None or found.run_token != self._run.run_token:
            return FleetStanding(is_mine=False)
        return FleetStanding(is_mine=True, abort_reason=found.abort_reason, fence=found.fence)

    def about_to(self, step: str, if_lost: str | None) -> FleetStanding:
        """The safe point of a thread that is working on a device; the step is noted with it."""
        piece = in_hand()
        if piece is None or self._note_together is None:
            return self.standing()
        hidden = masker()
        why = if_lost and _noted(if_lost, _LONGEST_WHY, hidden)
        # A crash that loses a device's first note leaves nothing false. One that loses a later note would leave the
        # step before in its place.
        lasting = piece.id in self._noted or self._each is None or not self._each.kept.has(piece.id)
        begun_age = time.monotonic() - piece.begun_at
        self._noted.add(piece.id)
        seen = self._note_together(Note(piece.id, _noted(step, _LONGEST_STEP, hidden), why, lasting, begun_age))
        if seen.allows(self._run) and piece.id not in seen.noted:
            raise GivenBack("the database crashed and lost the record that this device was taken")
        return seen

    @property
    def not_over(self) -> Exception | None:
        """Why a body that has returned has failed: this process is a participant still, and devices may be waiting.

        The body has caught what ``each`` raised, or it joined others and did not call it.
        """
        if not self.is_on:
            return None
        return self._broke or RuntimeError("the body joined others, and returned without having called ctx.each")

    def leave_with(self, failure: Failure) -> bool:
        """The body raised while others may take part. True if none do: the end is this process's to store.

        Before ``each`` it is this process's own failure: others go on, and end the job. After that it is the job's
        failure.
        """
        if self._called:  # all that is known of its devices in hand is what was written
            until_answered(self._ctx.database, self._give_up_devices, job_id=self._run.job_id)
        leaving = None if self._called else self._leave(end=None)
        if leaving is None or not (leaving.gone or leaving.last):
            leaving = self._leave(end=failure.as_json())
        if leaving.last and leaving.tally is not None:
            self.result = None, leaving.tally.size
            self.finished = until_answered(
                self._ctx.database, lambda: store().finished_hosts(self._run.job_id), job_id=self._run.job_id
            )
        self.is_on = False
        return leaving.last

    def _give_up_devices(self) -> int:
        run = self._run
        return store().lose_devices(run.job_id, run.run_token, worker=run.worker, repeats=self._repeats)

    def _leave(self, *, end: str | None) -> Leaving:
        def ask() -> Leaving:
            return store().leave(self._run, Batch(), end=end, though_waiting=False, orphan="")

        return until_answered(self._ctx.database, ask, job_id=self._run.job_id)

    def told_to_leave(self) -> bool:
        return cells.told_to_leave(self._request)

    @property
    def _request(self) -> Any:
        return getattr(self._ctx.task, "request", None)

    def _helpers(self) -> int:
        """How many helpers the task wants; none where the database lets only one process write."""
        return int(getattr(self._ctx.task, "helpers", 0)) if store().shares_devices else 0

    def _may_be_repeated(self) -> bool:
        arguments = json.loads(self._run.start_arguments)
        return arguments.get("dry_run") is True or bool(getattr(self._ctx.task, "rerun_if_lost", False))

    def _gather_seconds(self) -> float:
        """A statement and its wait for the disk cost nearly the same for one note as for twenty."""
        return _GATHER_SECONDS if self._each is not None and len(self._each.hands.busy) > _FEW else 0.0

    def _note(self, notes: Sequence[Note]) -> FleetStanding:
        since = time.monotonic()
        with self._ctx.database():
            seen = store().note_steps(self._run, notes, of=max([note.id for note in notes]))
        if self._each is not None and seen.noted and any(note.lasting for note in notes):  # else no commit has waited
            self._each.kept.lasted(since)
        return seen


def may_help(job_id: int, worker: str) -> bool:
    """Whether it is worthwhile to join. A process that differs would read its inventory for nothing every few seconds;
    and a run without participants would restart its wait each time, and never end.
    """
    return (job_id, worker) not in found_to_differ


def _noted(text: str, longest: int, mask: Callable[[str], str]) -> str:
    """The text in a form that can be stored: a note that the database refuses takes those of other devices with it."""
    return storable(mask(str(text)))[:longest]
