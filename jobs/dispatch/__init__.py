"""From a request to a row (``scheduling``), from a row to a message (``sending``), and a lock's line (``line``)."""

from jobs.dispatch.scheduling import schedule, schedule_many

__all__ = ["schedule", "schedule_many"]
