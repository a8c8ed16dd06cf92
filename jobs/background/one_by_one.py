"""Work on many things, any of which may be blocked, for example a row that a dead host's transaction still locks."""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from cnaasjobs.db.not_now import connection_is_lost
from jobs.background.budget import Budget
from jobs.background.faults import Complaint

T = TypeVar("T")

_SECONDS = 10.0


class OneByOne(Generic[T]):
    """Does the same for each. One that fails is left for the next round, where it comes last; the others go on."""

    def __init__(self, what: str, do: Callable[[T], int], *, key: Callable[[T], Hashable]) -> None:
        """``do`` returns how many it did, 0 or 1; ``key`` identifies a thing from round to round."""
        self._do = do
        self._key = key
        self._complaint = Complaint(what)
        self.failed: set[Hashable] = set()  # the keys of those that failed in the last round

    def __call__(self, things: Iterable[T]) -> int:
        """Returns how many were done."""
        budget, done, failed = Budget(_SECONDS), 0, set[Hashable]()
        for thing in sorted(things, key=lambda thing: self._key(thing) in self.failed):
            if not budget.left():
                break
            try:
                done += self._do(thing)
            except Exception as exc:
                if connection_is_lost(exc):
                    raise  # the connection is lost, so all of them would fail
                failed.add(self._key(thing))
                self._complaint.failed(exc)
        if not failed:
            self._complaint.over()
        self.failed = failed
        return done
