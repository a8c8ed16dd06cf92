"""The promises, each a pure function over the story of a run: what was broken, in words, and the table's figures."""

from tests.chaos.checks import (
    of_answers,
    of_approvals,
    of_devices,
    of_events,
    of_jobs,
    of_keys,
    of_locks,
    of_the_run,
    of_time,
)
from tests.chaos.checks.promises import Check, Figures, Promise, Thresholds, Verdict
from tests.chaos.record import Record
from tests.chaos.story import Story

__all__ = ["Figures", "Promise", "Thresholds", "Verdict", "check"]

_ROOMS = (of_jobs, of_approvals, of_locks, of_devices, of_time, of_answers, of_keys, of_events, of_the_run)
CHECKS: list[Check] = [each for room in _ROOMS for each in room.ALL]


def check(record: Record, thresholds: Thresholds) -> Verdict:
    """Judge a run by what was recorded of it."""
    story, figures = Story(record), Figures()
    return Verdict(broken=[found for each in CHECKS for found in each(story, thresholds, figures)], figures=figures)
