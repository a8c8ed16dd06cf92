"""What a thread does with one device: the steps, one after the other, each after a safe point."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.errors import JobStopped, LockLost
from jobs.fleet.ahead import Ahead
from jobs.fleet.assignment import Assignment, Step, name_of
from jobs.fleet.body import Safety
from jobs.fleet.ends import GivenBack
from jobs.fleet.hands import Piece, Within
from jobs.fleet.reports import DeviceFailed, DeviceResult, Finished, finished, in_words


class Unfinished(Enum):
    """What happened to a device that has not finished."""

    UNBEGUN = auto()  # the job was told to stop just before, or it was given back
    IN_STEP = auto()  # it is done with this step, and waits for the other devices


@dataclass(frozen=True)
class Work:
    """Makes ``Piece.work`` for each stage of an assignment, which returns Finished or Unfinished, and never raises."""

    safety: Safety
    given: Assignment
    ahead: Ahead

    def expected(self, pieces: list[Piece]) -> list[Piece]:
        """Let the job prepare these devices together, and return them. What it raises fails none of them."""
        if pieces:
            try:
                self.given.beforehand([piece.device for piece in pieces])
            except Exception as exc:  # noqa: BLE001  the author's code may raise anything
                record(JobAction.BEFOREHAND_FAILED, exc=exc, job_id=self.safety.job_id)
        return pieces

    def begin_later(self, piece: Piece) -> Finished | Unfinished:
        """The work of a device that was taken before there was a thread for it."""
        return self.begin(piece) if self.ahead.may_begin() else Unfinished.UNBEGUN

    def begin(self, piece: Piece) -> Finished | Unfinished:
        steps = self.given.steps[:1] if self.given.all_or_none else self.given.steps
        return self._over(piece, lambda: self._steps(piece, steps), last=len(self.given.steps) == len(steps))

    def step(self, number: int) -> Callable[[Piece], Finished | Unfinished]:
        """The work of this step, when all devices are done with the steps before it."""
        last = number == len(self.given.steps) - 1
        return lambda piece: self._over(piece, lambda: self._joint_step(piece, number, last), last=last)

    def back(self, why: str) -> Callable[[Piece], Finished | Unfinished]:
        """The work of taking a device back, because no further step may begin."""
        return lambda piece: self._over(piece, lambda: self._taken_back(piece, why), last=True)

    def hung(self, piece: Piece) -> Finished | Unfinished:
        """The outcome of a thread that was given up. (Never Unfinished.)"""

        def report() -> Any:
            if self.given.hung is not None:
                return self.given.hung(piece.device, piece.at)
            raise DeviceFailed(f"{piece.at}: no answer within {self.given.seconds or 0:g} seconds")

        return self._over(piece, report, last=True)

    def reports_of_lost(
        self, lost: Iterable[tuple[int, str, str]], make: Callable[[Any, str], Any]
    ) -> list[tuple[int, str]]:
        """Reports as JSON, by id, of devices (id, host, reason) whose participant died. ``make`` is the body's."""
        return [(device_id, self._report(device_id, host, make, why)) for device_id, host, why in lost]

    def _report(self, device_id: int, host: str, make: Callable[[Any, str], Any], why: str) -> str:
        device = self.given.devices.get(host)

        def report() -> Any:
            if device is None:  # the process that died had selected other devices
                raise DeviceFailed(why)
            return make(device, why)

        found = self._over(Piece(self.begin, device_id, host, device), report, last=True)
        return found.report if isinstance(found, Finished) else "null"

    def _over(self, piece: Piece, work: Callable[[], Any], *, last: bool) -> Finished | Unfinished:
        try:
            returned = work()
            if returned is None and not last:
                return Unfinished.IN_STEP
            if isinstance(returned, Unfinished):
                return returned
        except GivenBack:
            return Unfinished.UNBEGUN
        except DeviceFailed as failed:
            returned = failed
        except BaseException as exc:  # noqa: BLE001  whatever is raised for a device is that device's failure
            record(JobAction.DEVICE_FAILED, exc=exc, job_id=self.safety.job_id, host=piece.host)
            returned = DeviceFailed(in_words(exc))
        return finished(piece, returned)

    def _may_begin(self) -> bool:
        """Its safe point was when it was taken, unless that is long ago: then this is another one."""
        if not self.ahead.may_begin():
            with contextlib.suppress(JobStopped):
                self.safety.checkpoint()
        return not self.safety.stopping

    def _steps(self, piece: Piece, steps: Sequence[Step]) -> Any:
        if not self._may_begin():
            return Unfinished.UNBEGUN
        returned = None
        try:
            for number, step in enumerate(steps):
                if number:
                    self.safety.about_to(name_of(step))
                returned = self._call(piece, step)
                if returned is not None:
                    break
        except JobStopped as stopped:
            returned = self._taken_back(piece, str(stopped))
            if isinstance(stopped, GivenBack):
                raise
        return returned

    def _joint_step(self, piece: Piece, number: int, last: bool) -> Any:
        step = self.given.steps[number]
        try:
            self._about_to_join(step, last=last)
            return self._call(piece, step)
        except JobStopped as stopped:
            back = self._taken_back(piece, str(stopped))
            if isinstance(stopped, GivenBack):
                raise
            return back

    def _about_to_join(self, step: Step, *, last: bool) -> None:
        """The safe point before a joint step.

        A job that stops does the last step on all devices nevertheless, as long as it holds its lock: the step was
        allowed on all of them, and is done on some.
        """
        try:
            self.safety.about_to(name_of(step))
        except LockLost:
            raise
        except JobStopped:
            if not last or not self.safety.holds_lock():
                raise

    def _taken_back(self, piece: Piece, why: str) -> Any:
        """Let the job's ``back`` undo it. The device failed, unless ``back`` returns a DeviceResult."""
        piece.taken_back = self.safety.stopping
        report = None
        if self.given.back is not None:
            with Within(piece, self.given.seconds, name_of(self.given.back)):
                report = self.given.back(piece.device, why)
        return report if isinstance(report, DeviceResult) else DeviceFailed(f"not done: {why}", report=report)

    def _call(self, piece: Piece, step: Step) -> Any:
        with Within(piece, self.given.seconds, name_of(step)):
            return step(piece.device)
