"""What a store can do with the devices of a job, and with the processes that work on them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from jobs.run import Run
from jobs.states import JobDeviceState


class Taken(NamedTuple):
    """A device that this participant has taken, to begin it."""

    id: int
    host: str
    tries: int  # how often a process was lost while working on it
    ahead: bool = False  # it was taken before there was a thread for it: its row says that it waits, and for whom


class Over(NamedTuple):
    """A finished device: what is stored of it, without secrets. ``report`` and ``memo`` are JSON texts."""

    id: int
    failed: bool
    reason: str | None
    change_score: int | None
    report: str
    memo: str | None
    age: float  # seconds since it was over
    changed: bool | None = None  # None: its function does not say
    taken_back: bool = False  # the job was stopped while it was in progress
    begun_age: float = 0.0  # seconds since it was begun


class Begun(NamedTuple):
    """A device that was taken ahead, and is being worked on now."""

    id: int
    age: float  # seconds since it was begun


class Stepped(NamedTuple):
    """A device that has finished a step, but not all of them."""

    id: int
    steps_over: int


class Note(NamedTuple):
    """The step that is about to begin on a device, and what to say of it if its process is lost from there on."""

    id: int
    step: str
    if_lost: str | None
    lasting: bool = True  # a crash of the database must not take it back: another step would be named in its place
    begun_age: float = 0.0


class Batch(NamedTuple):
    """What happened to a participant's devices since it last wrote."""

    over: Sequence[Over] = ()
    stepped: Sequence[Stepped] = ()
    unbegun: Sequence[int] = ()  # ids of those that were taken and then not begun
    begun: Sequence[Begun] = ()


@dataclass(frozen=True, kw_only=True)
class NewFleet:
    """What the participants of a run have in common; see ``jobs.device_models.Fleet``."""

    helpers: int
    repeats: bool
    all_or_none: bool
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetStanding:
    """What one participant sees of its run."""

    is_mine: bool  # the run goes on, and this is a participant of it
    abort_reason: str | None = None
    fence: int | None = None  # the fencing token under which the job holds its lock now
    end: str | None = None  # the end that somebody met
    others: int = 0  # participants beside this one
    waiting: bool = False  # there are devices that nobody has begun
    crowded: bool = False  # jobs wait for a slot, and it is this participant's turn to make room
    noted: frozenset[int] = frozenset()  # the devices whose step was written

    def allows(self, run: Run) -> bool:
        """Whether this run may go on."""
        stopped = self.abort_reason is not None or self.end is not None
        return self.is_mine and not stopped and run.fence in (None, self.fence)


class Decision(NamedTuple):
    """May a step begin? ``allowed`` is None while that is open."""

    allowed: bool | None
    reason: str  # why not


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """All devices of a run together."""

    devices: int
    over: int
    failed: int
    max_score: int
    unreported: int  # those that were lost: failed, and nobody wrote a report
    size: int  # bytes of the result, more or less


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaving:
    """What happened to a participant that wants to leave. Neither gone nor last: it stays, devices wait for it."""

    gone: bool  # others are there, or the run is over, or it waits for others to come
    last: bool  # the run is this participant's alone, and its to end
    end: str | None = None
    tally: Tally | None = None  # if last


class DeviceStore(Protocol):
    """``run.run_token`` is the participant's. If it is no longer a participant, nothing is changed."""

    @property
    def shares_devices(self) -> bool:
        """Whether several processes may take devices of one job."""
        ...

    def begin_devices(
        self, run: Run, fleet: NewFleet, hosts: Sequence[str], *, take: int, worker_id: int | None
    ) -> list[Taken] | None:
        """Write the rows of a run, the first ``take`` of them as taken; this run's process is the first participant.

        If they can't all be taken at once, the devices that took longest in their last job come first.

        Rows of an attempt before are replaced. Repeated, it finds what it wrote. None if the run is over.
        """
        ...

    def fingerprint(self, job_id: int) -> str | None:
        """What each participant of the run must have alike."""
        ...

    def take_devices(
        self, run: Run, count: int, *, ahead: int = 0, tried: bool = False, of: int = 0, lasting: bool = True
    ) -> tuple[FleetStanding, list[Taken]]:
        """A safe point, and up to ``count`` devices that nobody has; none if the run may not go on.

        Args:
            ahead: how many more to reserve if nobody else takes part. The row of such a device says that it waits until
                it is written that it was begun.
            tried: take only devices with which a process was lost before; otherwise only the others.
            of: how many devices the job has: with many, planning the statement once is worth its cost.
            lasting: False: until a later commit has waited for the disk, a crash of the database may undo this one. The
                devices then wait again, and steps on them are not noted. With other participants it is never False.
        """
        ...

    def taken_devices(self, run: Run) -> list[Taken]:
        """The devices that this participant is working on, according to the rows."""
        ...

    def write_devices(self, run: Run, batch: Batch) -> FleetStanding:
        """Write what happened. A device that no longer belongs to this participant is left as it is."""
        ...

    def note_steps(self, run: Run, notes: Sequence[Note], *, of: int = 0) -> FleetStanding:
        """A safe point before a step on each of these: notes it, if the run may go on and the device is still its own.

        ``of``: how many rows the table may have: with many, planning the statement once is worth its cost.
        """
        ...

    def fleet_standing(self, run: Run) -> FleetStanding:
        """A safe point: only ``is_mine``, ``abort_reason``, ``fence`` and ``end`` are read."""
        ...

    def note_end(self, run: Run, end: str) -> None:
        """This is how the run ends, unless another end was noted before. Nobody joins it any more."""
        ...

    def leave(self, run: Run, batch: Batch, *, end: str | None, though_waiting: bool, orphan: str) -> Leaving:
        """Write what happened, and leave if there are other participants; otherwise this one has to end the run.

        The job's ``run_token``, ``worker_id`` and ``worker`` are handed on where they named it.

        Args:
            end: how the run ends, for the last participant; the first one noted stays.
            though_waiting: leave even if nobody else is there and devices wait. If the run has no end yet, it then has
                no participant until one joins.
            orphan: how such a run ends if nobody joins.
        """
        ...

    def decide(self, run: Run, step: int, *, within: float | None, lost: bool = False) -> Decision:
        """May step number ``step`` (from 1) begin: are all devices over in those before it, and has none failed?

        Decided by the first to ask, under the lock on the job's row, once and for all. The answer is no if the database
        has lost that the step before was allowed, as whoever asks was told.

        Args:
            within: how many seconds the step before may have taken at most, if it was not the first.
            lost: whoever asks has seen that the database lost something else: the answer is no.
        """
        ...

    def show_progress(self, run: Run, *, seconds: float) -> None:
        """Bring the job's ``finished_devices`` up to date, unless a participant did so less than ``seconds`` ago."""
        ...

    def lose_devices(self, job_id: int, token: UUID, *, worker: str, repeats: bool) -> int:
        """Take its devices from a participant that is gone: they wait again, or failed. Returns how many it had.

        In the caller's transaction, in which the participant's row was deleted before.
        """
        ...

    def lose_unrecorded(self, run: Run, state: JobDeviceState) -> int:
        """Devices of this run in a state that none can be in: they failed. Returns how many.

        Such as those that wait although a joint step was allowed, when all had been taken: a failover to a standby that
        was behind has lost what was written of them.
        """
        ...

    def unreported_devices(self, job_id: int) -> list[tuple[int, str, str]]:
        """Id, host and reason of lost devices for which nobody has made a report yet."""
        ...

    def write_reports(self, reports: Iterable[tuple[int, str]]) -> None:
        """JSON texts, by the device's id, for devices that have none."""
        ...

    def finished_hosts(self, job_id: int) -> list[str]:
        """The finished devices, in the order in which they finished."""
        ...

    def newest_done(self, hosts: Sequence[str]) -> list[int]:
        """The ids of each device's newest row that is done, whichever job it belongs to. Some may have none."""
        ...

    def device_reports(self, job_id: int) -> list[tuple[str, str]]:
        """Host and report (JSON text) of each device that has one, in the order of the selection."""
        ...

    def tally(self, job_id: int) -> Tally | None:
        """All devices of a job together; None if it has none."""
        ...
