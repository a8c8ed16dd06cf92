"""The loop of one participant: it takes devices, passes them to its threads, writes finished ones, and leaves.

It runs in the body's own thread. Everything it asks of the database may be asked again, so while that is away it waits.
Nothing may be raised in here except at its end: devices in progress would be forgotten. So the soft time limit only
notifies it.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from cnaasjobs.conf import conf
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.end_reasons import EndReason, Failure
from jobs.fleet.ahead import LOOK_SECONDS, Ahead
from jobs.fleet.asking import until_answered
from jobs.fleet.assignment import Assignment, say_it_differs
from jobs.fleet.body import Body
from jobs.fleet.ends import BodyEnds, EndMet, Left, RunTaken
from jobs.fleet.hands import Hands, Piece
from jobs.fleet.kept import Kept
from jobs.fleet.last_out import complete
from jobs.fleet.reports import Finished
from jobs.fleet.result import Done
from jobs.fleet.unwritten import Devices
from jobs.fleet.work import Unfinished, Work
from jobs.run import Run
from jobs.sql import store
from jobs.sql.device_signature import FleetStanding, Leaving, NewFleet, Taken
from jobs.states import JobDeviceState

T = TypeVar("T")


class Each:
    """One call of ``ctx.each`` in one process."""

    def __init__(self, body: Body, run: Run, assignment: Assignment, *, worker_id: int | None) -> None:
        self._body = body
        self._run = run
        self._given = assignment
        self._worker_id = worker_id
        self.hands = Hands(assignment.at_once)
        self._ahead = Ahead(assignment.at_once, alone=assignment.reads_first and not assignment.all_or_none)
        self._work = Work(body, assignment, self._ahead)
        # With more devices than threads it takes devices while its threads note steps: on two connections, or each
        # would wait for the others' commits. Where one process at a time writes, one connection is enough.
        self.needs_two = store().shares_devices and len(assignment.devices) > assignment.at_once
        self._is_struck = False
        self._leaves = False  # it takes no more
        self._dry = False  # at the last look, no device was waiting to be begun
        self._others = 0
        self._step = 0  # the step that its devices are in; always the first, unless all_or_none
        self.kept = Kept(always=not assignment.reads_first)
        self._devices = Devices(self.kept)
        self._showed_at = time.monotonic()
        self._noted = False
        # For the last participant: the job's result, its length in bytes, and the hosts that are over, in their order.
        self.stored: tuple[str | None, int] | None = None
        self.finished: list[str] | None = None

    def strike(self) -> None:
        """The soft time limit was reached. A signal handler calls this, whatever its thread is doing."""
        self._is_struck = True

    def run(self, *, joined: bool) -> Done:
        """Returns in the last participant, when every device of the job is over.

        Raises:
            Left: others are there, and the job is theirs to end; or it waits for others to come.
            JobStopped, EndMet: the job ends before all are over, and it is this participant's to end.
        """
        try:
            if joined:
                self._join()
            else:
                self._begin()
            while True:
                self._heed()
                self._take()
                self._collect()
                if self.hands.is_empty and (leaving := self._nothing_in_hand()) is not None:
                    return self._end(leaving)
                self._write()
                self.hands.wait(self._pause(), until=self._few)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Return, whatever was raised, when no thread works any more, except threads that hang."""
        self.hands.close()
        if not self.hands.is_empty:
            self._body.stop(BodyEnds("the job is ending"))
        while not self.hands.is_empty:
            self.hands.wait(LOOK_SECONDS, until=0)
            self._collect()

    # --- beginning ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        given = self._given
        fleet = NewFleet(
            helpers=given.helpers, repeats=given.repeats, all_or_none=given.all_or_none, fingerprint=given.fingerprint
        )
        hosts = list(given.devices)
        options: dict[str, Any] = {"take": given.at_once, "worker_id": self._worker_id}
        taken = self._persist(lambda: store().begin_devices(self._run, fleet, hosts, **options))
        asked, standing = time.monotonic(), partial(store().fleet_standing, self._run)
        self._heard(self._persist(standing, standing), asked)  # was it aborted, or judged lost, before it came here?
        self._dry = len(hosts) <= given.at_once
        self.kept.took([one.id for one in taken or []], lasting=True)
        self._hand_out(taken or [])

    def _join(self) -> None:
        if self._persist(lambda: store().fingerprint(self._run.job_id)) != self._given.fingerprint:
            self._leaves = True
            say_it_differs(self._run.job_id, self._run.worker)

    # --- taking -------------------------------------------------------------------------------------------------------

    @property
    def _may_take(self) -> bool:
        return not (self._leaves or self._dry or self._step or self._body.stopping)

    def _take(self) -> None:
        """Take a device for each idle thread, and some ahead (``Ahead``). It is the safe point before each device."""
        if self._may_take and (in_hand := self.hands.in_hand) <= self._few:
            idle, ahead = self._ahead.wanted(in_hand)
            taken = self._taken(idle, ahead=ahead)
            self._dry = len(taken) < (idle if self._others else idle + ahead)
            self._hand_out(taken)

    @property
    def _few(self) -> int:
        """With this many devices in hand, or fewer, it is time to take more; or to end, if it may take none."""
        return self._ahead.few if self._may_take else 0

    def _taken(self, count: int, *, ahead: int = 0, tried: bool = False) -> list[Taken]:
        # With all_or_none, a crash of the database would also undo the record of finished steps. And no thread is
        # waiting for devices that are taken ahead, so there is time to wait for the disk.
        lasting = ahead > 0 or self._given.all_or_none or not self._given.reads_first
        options: dict[str, Any] = {"ahead": ahead, "tried": tried, "of": len(self._given.devices), "lasting": lasting}
        asked = time.monotonic()
        seen, taken = self._persist(lambda: store().take_devices(self._run, count, **options), self._adopted)
        self._heard(seen, asked)
        self._others = max(self._others, seen.others)
        self.kept.took([one.id for one in taken], lasting=lasting)
        return taken

    def _heard(self, seen: FleetStanding, asked_at: float) -> None:
        """Heed the answer of a safe point that was asked for at this time (monotonic)."""
        self._body.judge(seen)
        self._ahead.heard(asked_at)

    def _adopted(self) -> tuple[FleetStanding, list[Taken]]:
        """What was taken, read from the database because the statement's answer was lost."""
        taken = [one for one in store().taken_devices(self._run) if one.id not in self._devices.mine]
        return store().fleet_standing(self._run), taken

    def _hand_out(self, taken: list[Taken]) -> None:
        now, later = self._work.begin, self._work.begin_later
        new = [self._piece(one, later if one.ahead else now) for one in self._devices.take(taken)]
        self.hands.give(self._work.expected(new))

    def _piece(self, taken: Taken, work: Callable[[Piece], object]) -> Piece:
        return Piece(work, taken.id, taken.host, self._given.devices[taken.host])

    # --- what threads have done ---------------------------------------------------------------------------------------

    def _collect(self) -> None:
        for piece in self.hands.done():
            self._devices.became(piece, piece.result, step=self._step)
            if isinstance(piece.result, Finished):
                self._ahead.was_done(piece.result.at - piece.begun_at)
        for piece, thread in self.hands.hung():
            self._body.abandon(thread)
            self._devices.became(piece, self._work.hung(piece), step=self._step)

    # --- stopping -----------------------------------------------------------------------------------------------------

    def _heed(self) -> None:
        """Act on what told this participant to stop, or to leave."""
        if self._is_struck:
            self._is_struck = False
            self._body.soft_limit_reached()
        if self._body.stopping and self._others and not self._noted:
            self._noted = True
            end = self._end_met()
            self._persist(lambda: store().note_end(self._run, end) if end is not None else None)
        if self._given.helpers and not self._leaves and self._body.told_to_leave():
            self._leaves = True
            record(JobAction.MAKES_ROOM, job_id=self._run.job_id, worker=self._run.worker, why="its worker stops")
        if self._ahead.alone and (self._others or self._leaves or self._body.stopping):
            self._give_back()

    def _give_back(self) -> None:
        self._ahead.alone = False
        for piece in self.hands.recall():
            self._devices.became(piece, Unfinished.UNBEGUN, step=self._step)

    def _end_met(self) -> str | None:
        reason = self._body.stop_reason
        return None if reason is None else Failure.of(reason).as_json()

    def _nothing_in_hand(self) -> Leaving | None:
        """Called when no thread has anything to do: begin the next step, take more devices, or leave. None to go on."""
        if self._devices.between_steps:
            self._next_step()
            return None
        if self._may_take:
            return None
        self._given.leaving()
        leaving = self._persist(self._leave, self._leave_again)
        self._devices.written()
        if leaving.gone or leaving.last:
            return leaving
        # Devices wait, and no other process takes part. A device that has already cost a process is begun alone.
        self._hand_out(self._taken(self._given.at_once) or self._taken(1, tried=True))
        return None

    def _leave(self) -> Leaving:
        if self._step:
            store().lose_unrecorded(self._run, JobDeviceState.WAITING)
        left = f"worker {self._run.worker} stopped, and no other went on with the job"
        return store().leave(
            self._run,
            self._devices.batch(),
            end=self._end_met(),
            though_waiting=self._leaves,
            orphan=Failure(type=EndReason.WORKER_SHUTDOWN, message=left).as_json(),
        )

    def _leave_again(self) -> Leaving:
        """Store again what is known of the devices: the first write did not wait for the disk; a crash may undo it."""
        self._given.leaving()
        return self._leave()

    def _next_step(self) -> None:
        if self._body.stopping:
            self._go_on(self._work.back(str(self._body.stop_reason)))
            return
        self._write(at_once=True)
        step = self._step + 1
        options: dict[str, Any] = {"within": self._given.within, "lost": self._devices.lost}
        decision = self._persist(lambda: store().decide(self._run, step, **options))
        if decision.allowed:
            self._step = step
            self._go_on(self._work.step(step))
        elif decision.allowed is False:
            self._go_on(self._work.back(decision.reason))
        elif self._leaves and not self._step:
            # It can't leave with devices in hand, and perhaps nobody else takes those that they wait for.
            self._hand_out(self._taken(self._given.at_once))

    def _go_on(self, work: Callable[[Piece], object]) -> None:
        self.hands.give([self._piece(one, work) for one in self._devices.for_next_step()])

    def _end(self, leaving: Leaving) -> Done:
        tally = leaving.tally
        if tally is None or isinstance(self._body.stop_reason, RunTaken):
            raise Left
        whole = complete(self._body, self._run, self._work, tally, self._devices.result)
        self.finished = self._persist(lambda: self._devices.result.finished(self._run.job_id, whole))
        text = self._persist(lambda: self._devices.result.text(self._run.job_id, self._given.devices, whole))
        self.stored = text, whole.size
        if self._body.stop_reason is not None and leaving.end in (None, self._end_met()):
            raise self._body.stop_reason
        if leaving.end is not None:
            raise EndMet.of(leaving.end)
        return Done(devices=whole.devices, failed=whole.failed, max_score=whole.max_score)

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self, *, at_once: bool = False) -> None:
        since, has_news = time.monotonic() - self._devices.written_at, self._devices.has_news
        due = since >= (conf.report_seconds if has_news else LOOK_SECONDS)
        if not due and not (at_once and has_news):
            return
        asked = time.monotonic()
        self._devices.in_progress(self.hands.in_progress())
        seen = self._persist(lambda: store().write_devices(self._run, self._devices.batch()))
        self._devices.written()
        self._heard(seen, asked)
        self._others = seen.others
        self._dry = not seen.waiting
        if seen.crowded and not self._leaves:
            self._leaves = True
            record(JobAction.MAKES_ROOM, job_id=self._run.job_id, worker=self._run.worker, why="a job waits for a slot")
        if time.monotonic() - self._showed_at >= conf.progress_seconds:
            self._persist(lambda: store().show_progress(self._run, seconds=conf.progress_seconds))
            self._showed_at = time.monotonic()

    def _pause(self) -> float:
        can_go_on = self._may_take and self.hands.in_hand <= self._few
        return 0.0 if can_go_on or (self.hands.is_empty and self._body.stopping) else float(conf.report_seconds)

    def _persist(self, ask: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        return until_answered(self._body.database, ask, again, job_id=self._run.job_id)
