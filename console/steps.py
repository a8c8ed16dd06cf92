"""The timeline of one job: each step, and how long it was since the one before."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from jobs.lifecycle import steps
from jobs.models import Job
from jobs.states import Step

# The others are shown by their names.
_WORDS: Final = {
    Step.PARKED: "In line for its lock",
    Step.RETRIED: "Asked for another attempt",
    Step.LOST: "Its worker was lost",
    Step.RERUN: "Will be started again",
}


class Shown(NamedTuple):
    time: datetime
    word: str
    detail: str
    after: timedelta | None  # the step before


def steps_of(job: Job) -> list[Shown]:
    shown: list[Shown] = []
    for taken in steps.of(job):
        after = taken.time - shown[-1].time if shown else None
        shown.append(Shown(taken.time, _WORDS.get(taken.step, taken.step.value.capitalize()), taken.detail, after))
    return shown
