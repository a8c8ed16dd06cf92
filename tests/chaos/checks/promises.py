"""What the checks say: the promises, what was found broken, and the table's figures."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from cnaasjobs.db.bounded_waits import IDLE_IN_TRANSACTION_SECONDS
from tests.chaos.story import Story


class Promise(StrEnum):
    ENDS = "an accepted job ends"
    ONCE = "a body starts once per attempt"
    BODY = "a message runs no body but its job's own"
    TIME = "no job starts before it is due"
    HOLDERS = "never two holders of one lock"
    DEVICES = "each device of a job is over once, in one participant's hands"
    TURN = "first come, first served in a lock's line"
    STARTS = "a due job starts while a slot is idle"
    RESCUE = "a lost worker's job is rescued, a live one's never"
    ONE_END = "one end, written by the run that holds the job"
    CAUSE = "an end says its true cause"
    ABORTS = "an accepted abort stops the job"
    APPROVED = "a job that needs a second person starts only when one has approved it"
    TRUTH = "/readyz tells the truth"
    POSTS = "a POST is answered in time"
    KEYS = "an Idempotency-Key makes one job, and says which"
    WITHDRAWN = "a job that was withdrawn never ran"
    EVENTS = "who listens to live events knows how each job ended, and of nothing before its commit"
    REMNANTS = "what a vanished host held in the database is free in time"
    # Not of the platform, but of the run: without them it proves nothing.
    HITS = "every kind of fault hit something"
    CLOCK = "the machine's clock was left alone"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Seconds; a short run may scale them, and the table prints them."""

    stuck: float = 60.0
    rescue: float = 60.0
    truth: float = 15.0
    answer: float = 2.0  # to /readyz and to a POST
    idle: float = IDLE_IN_TRANSACTION_SECONDS  # after which the database ends a transaction that nobody goes on with
    worker_lost: float = 30.0  # the platform's own setting: a worker that pauses for less is not dead
    clock: float = 0.1  # between a commit's time and the moment everybody sees it
    remnants: float = 60.0  # the server's own limits: 20 s for an idle transaction, 30 s for an idle session
    turn: float = 2.0  # who came so shortly before a claim's commit may not have been seen by its statement


@dataclass(frozen=True, kw_only=True)
class Broken:
    promise: Promise
    what: str


@dataclass(kw_only=True)
class Figures:
    """What the table shows beside the broken promises."""

    accepted: int = 0
    finished: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    run_twice: int = 0
    overlapping: int = 0
    ended_after: int = 0
    stuck: int = 0
    longest_wait: float = 0.0
    rescued: int = 0
    longest_rescue: float = 0.0
    attempts: int = 0
    operations: int = 0
    devices: int = 0  # rows of jobs that have ended
    participants: int = 0
    aborts: Counter[int] = field(default_factory=Counter)
    decisions: Counter[int] = field(default_factory=Counter)
    probes: int = 0
    slowest_answer: float = 0.0
    posts: int = 0
    slowest_post: float = 0.0
    starved: int = 0  # POSTs answered 503 by a web process that had no processor
    refused: int = 0  # POSTs answered 503
    unknown: int = 0  # of them, with an outcome that was not known
    withdrawn: int = 0
    repeated: int = 0  # keys that were used again
    longest_remnant: float = 0.0


@dataclass(kw_only=True)
class Verdict:
    broken: list[Broken]
    figures: Figures

    def promises(self) -> set[Promise]:
        return {each.promise for each in self.broken}


Check = Callable[[Story, Thresholds, Figures], Iterator[Broken]]
