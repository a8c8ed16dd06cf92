"""The reasons for which a job waits, as data and as a sentence, which each interface renders in its own way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class Holds(StrEnum):
    """What can hold a job."""

    APPROVAL = "approval"  # no second person has approved it
    TIME = "time"  # it is not due yet
    LOCK = "lock"  # its lock is held, or others are before it in line
    SLOT = "slot"  # no worker has started it
    QUEUE = "queue"  # no worker serves its queue
    TASK = "task"  # nobody here knows its task
    BEAT = "beat"  # no live Beat would send its message


@dataclass(frozen=True)
class Named:
    """A job inside a sentence."""

    job_id: int
    function_name: str | None  # None: there is no such job any more

    def __str__(self) -> str:
        return f"job {self.job_id} ({self.function_name or 'gone'})"


Part = str | Named | datetime | timedelta


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One of the things that hold a job."""

    holds: Holds
    sentence: tuple[Part, ...]
    since: datetime | None  # None for what has no beginning, such as a time that has not come yet
    facts: Mapping[str, Any] = field(default_factory=dict)  # who or what, by names; times are datetimes

    def __str__(self) -> str:
        return "".join(map(part_in_words, self.sentence))


def part_in_words(part: Part) -> str:
    if isinstance(part, datetime):
        return f"{part:%Y-%m-%d %H:%M:%S} UTC"
    return in_words(part) if isinstance(part, timedelta) else str(part)


def in_words(length: timedelta) -> str:
    """A duration as a person would write it: 0.04 s, 12.3 s, 4 min 10 s, 2 h 05 min, 3 d 4 h."""
    seconds = length.total_seconds()
    if seconds < 0:
        return f"−{in_words(-length)}"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    minutes, hours, days = whole // 60 % 60, whole // 3600 % 24, whole // 86400
    if whole < 3600:
        return f"{minutes} min {whole % 60:02} s"
    return f"{hours} h {minutes:02} min" if not days else f"{days} d {hours} h"
