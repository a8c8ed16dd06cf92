"""What happened to a participant's devices and is not written yet."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cnaasjobs.conf import conf
from jobs.fleet.hands import Piece
from jobs.fleet.kept import Kept
from jobs.fleet.reports import Finished
from jobs.fleet.result import ResultSoFar
from jobs.fleet.work import Unfinished
from jobs.sql.device_signature import Batch, Begun, Stepped, Taken

_AT_A_TIME: Final = 500


@dataclass
class Devices:
    """The devices that this participant has taken."""

    kept: Kept
    mine: dict[int, Taken] = field(default_factory=dict)  # until they are written as over
    between_steps: list[Taken] = field(default_factory=list)  # done with one step, and waiting for the next
    result: ResultSoFar = field(default_factory=ResultSoFar)
    lost: bool = False  # between two steps, the database lost that one of them is this participant's
    written_at: float = field(default_factory=time.monotonic)
    _ahead: set[int] = field(default_factory=set)  # ids of those taken ahead and not known to have begun
    _begun: list[Piece] = field(default_factory=list)
    _over: list[Finished] = field(default_factory=list)
    _stepped: list[Stepped] = field(default_factory=list)
    _unbegun: list[int] = field(default_factory=list)
    _steps_over: int = 0  # of those between steps
    _said: int = 0  # how many of them were said again, in their order

    def take(self, taken: list[Taken]) -> list[Taken]:
        """Take note of these, and return the new ones.

        After a crash of the database a device that is in hand may wait there again, and be taken a second time.
        """
        new = [one for one in taken if one.id not in self.mine]
        self.mine.update((one.id, one) for one in new)
        self._ahead.update(one.id for one in new if one.ahead)
        return new

    def in_progress(self, pieces: Sequence[Piece]) -> None:
        """Take note of the pieces that threads are working on just now, except those that they have only begun.

        Their first step, or their end, says it soon. Until what is written here is committed, a thread that notes a
        step on one of these devices waits for it, and with it all that note theirs by the same statement.
        """
        since = time.monotonic() - conf.report_seconds
        self._begun = [piece for piece in pieces if piece.id in self._ahead and piece.begun_at <= since]

    def became(self, piece: Piece, result: object, *, step: int) -> None:
        """Take note of what a thread made of a device in this step."""
        if isinstance(result, Finished):
            self._over.append(result)
            self.result.add(result)
        elif result is Unfinished.UNBEGUN:
            self._unbegun.append(piece.id)
            self.lost |= step > 0
        else:
            self.between_steps.append(self.mine[piece.id])
            self._steps_over = step + 1
            self._stepped.append(Stepped(piece.id, self._steps_over))

    def for_next_step(self) -> list[Taken]:
        """Empty the list of devices that waited for the next step, and return them."""
        waiting, self.between_steps = self.between_steps, []
        return waiting

    @property
    def has_news(self) -> bool:
        return bool(self._over or self._stepped or self._unbegun or self._ahead)

    def batch(self) -> Batch:
        now = time.monotonic()
        over = {device.id for device in self._over}
        return Batch(
            [device.stored(now) for device in self._over],
            list(self._stepped) or self._said_before(),
            list(self._unbegun),
            [Begun(piece.id, now - piece.begun_at) for piece in self._begun if piece.id not in over],
        )

    def _said_before(self) -> list[Stepped]:
        """What the others wait for, said again: a failover to a standby that was behind may have lost it.

        A few at a time: this is said each second, and for 20,000 the statement would take most of that.
        """
        begin = self._said if self._said < len(self.between_steps) else 0
        self._said = begin + _AT_A_TIME
        return [Stepped(one.id, self._steps_over) for one in self.between_steps[begin : self._said]]

    def written(self) -> None:
        for device_id in [*(device.id for device in self._over), *self._unbegun]:
            self.mine.pop(device_id, None)
            self.kept.gave_up(device_id)
            self._ahead.discard(device_id)
        self._ahead.difference_update(piece.id for piece in self._begun)
        self._begun = []
        self._over, self._stepped, self._unbegun = [], [], []
        self.written_at = time.monotonic()
