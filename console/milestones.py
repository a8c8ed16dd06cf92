"""The timeline of one job: its milestones, and how long each was after the one before."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from jobs.lifecycle import milestones
from jobs.models import Job
from jobs.states import Milestone

# The others are shown by their names.
_WORDS: Final = {
    Milestone.PARKED: "In line for its lock",
    Milestone.RETRIED: "Asked for another attempt",
    Milestone.LOST: "Its worker was lost",
    Milestone.RERUN: "Will be started again",
}


class ShownMilestone(NamedTuple):
    """A milestone as the page shows it."""

    time: datetime
    word: str
    detail: str
    after: timedelta | None  # the one before


def milestones_of(job: Job) -> list[ShownMilestone]:
    shown: list[ShownMilestone] = []
    for reached in milestones.of(job):
        after = max(reached.time - shown[-1].time, timedelta()) if shown else None
        word = _WORDS.get(reached.milestone, reached.milestone.value.capitalize())
        shown.append(ShownMilestone(reached.time, word, reached.detail, after))
    return shown
