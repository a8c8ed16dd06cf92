"""The families of stored metrics: their names, labels and help texts."""

from dataclasses import dataclass
from typing import Final

SECONDS: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)


@dataclass(frozen=True)
class Family:
    name: str  # without the prefix, and without _total
    words: str
    labels: tuple[str, ...]


_OUTCOMES = "Jobs that ended: finished, with failed devices, or by the type of their exception."
ENDED = Family("jobs_ended", _OUTCOMES, ("function", "outcome"))
DEVICES = Family("devices", "Devices of jobs that ended, by what became of them.", ("outcome",))
PUBLISH_FAILURES = Family("publish_failures", "Messages that the broker did not take; Beat sends them later.", ())
REPAIRS = Family("repairs", "What upkeep repaired, by its step.", ("kind",))
READERS_DROPPED = Family("events_readers_dropped", "Readers of live events that were too slow.", ("what",))
READERS = Family("events_readers", "Who listens to live events, as the events process said last.", ())
LOOKED = Family("events_last_look_timestamp_seconds", "When the change feed was last looked at for them.", ())
RUN = Family("job_run_seconds", "How long jobs ran.", ("function",))
WAIT = Family("job_wait_seconds", "How long jobs that were due waited for a slot, and for their lock.", ("for",))
LATE = Family("job_start_late_seconds", "How long after they fell due jobs started.", ())
_SUCCEEDED = "When a step of upkeep last succeeded; 0: never yet."
SUCCESS = Family("upkeep_last_success_timestamp_seconds", _SUCCEEDED, ("step",))

COUNTERS: Final = (ENDED, DEVICES, PUBLISH_FAILURES, REPAIRS, READERS_DROPPED)
HISTOGRAMS: Final = (RUN, WAIT, LATE)
