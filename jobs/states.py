"""The vocabulary of a job's life, as data. This module imports nothing of the project.

``TRANSITIONS`` is the whole state machine: a verb, the states it may start from, and the state it leads to.
``jobs.lifecycle.transitions`` has one function per verb; nothing else writes a status.
"""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """The four states of the jobs API."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    EXCEPTION = "EXCEPTION"


class JobDeviceState(StrEnum):
    """One device of a job that goes through devices."""

    WAITING = "WAITING"  # not begun. If it has a participant, that one has reserved it, and begins it soon
    TAKEN = "TAKEN"  # a participant is working on it, or about to
    DONE = "DONE"  # over, well or not


class Milestone(StrEnum):
    """An event in a job's life, as people see it."""

    POSTED = "posted"
    APPROVED = "approved"  # by a second person
    DUE = "due"
    PARKED = "parked"  # in line for its lock
    REFUSED = "refused"  # by a worker that does not know its task
    STARTED = "started"
    RETRIED = "retried"  # its body asked for another attempt
    LOST = "lost"  # its worker was gone
    RERUN = "rerun"
    ASKED_TO_STOP = "asked to stop"
    ENDED = "ended"


class CameOf(StrEnum):
    """How a job came of an earlier one that a person named."""

    AGAIN = "again"  # the same once more
    FAILED = "failed"  # for the devices that it left undone
    PLAN = "plan"  # a live run of what a dry run showed


# The second argument in a message for a job that runs already: help with its devices. Older workers refuse it.
JOIN: Final = "join"


class Verb(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"  # a worker takes it, with a run token
    PARK = "park"  # its lock is taken: it waits in line and holds no worker slot
    FINISH = "finish"  # its body returned
    FAIL = "fail"  # its body ended otherwise, or its worker is gone
    RETRY = "retry"  # its body asked for another attempt, later
    RERUN = "rerun"  # its worker is gone and it was declared rerun_if_lost
    CANCEL = "cancel"  # ended before it started: aborted, rejected, waited too long, or cannot be started
    APPROVE = "approve"  # a second person lets it start
    REQUEST_ABORT = "request_abort"  # told to stop at its next safe point


SCHEDULED, RUNNING, FINISHED, EXCEPTION = Status
TERMINAL: Final = frozenset({FINISHED, EXCEPTION})

TRANSITIONS: Final[dict[Verb, tuple[Status, Status]]] = {
    Verb.CLAIM: (SCHEDULED, RUNNING),
    Verb.PARK: (SCHEDULED, SCHEDULED),
    Verb.FINISH: (RUNNING, FINISHED),
    Verb.FAIL: (RUNNING, EXCEPTION),
    Verb.RETRY: (RUNNING, SCHEDULED),
    Verb.RERUN: (RUNNING, SCHEDULED),
    Verb.CANCEL: (SCHEDULED, EXCEPTION),
    Verb.APPROVE: (SCHEDULED, SCHEDULED),
    Verb.REQUEST_ABORT: (RUNNING, RUNNING),
}
