"""What is going on now, and what happened lately, for pages that show it at a glance."""

from datetime import datetime, timedelta

from jobs.sql import store
from jobs.sql.overview_signature import FailedDevices, JobSpan, Symptoms

__all__ = ["FailedDevices", "JobSpan", "Symptoms", "ended_in_columns", "symptoms"]


def symptoms(
    *, alive: datetime, served: datetime, late: datetime, recent: datetime, newest: int, last: int
) -> Symptoms:
    """What may be wrong; the arguments are those of the store."""
    return store().symptoms(alive=alive, served=served, late=late, recent=recent, newest=newest, last=last)


def ended_in_columns(since: datetime, width: timedelta, columns: int, *, most: int) -> list[JobSpan]:
    """Jobs that started and have ended since, the first ``most`` of each column of time."""
    return store().ended_in_columns(since, width, columns, most=most)
