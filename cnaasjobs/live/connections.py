"""One socket.io client: what it subscribed to, and what it has not been told yet."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jobs.feed import Kind, Told
from jobs.states import Status

JOBS_A_LOOK: Final = 20  # the existing front end loads its whole list at each
MOST_PENDING: Final = 10_000
LINES_UNTIL: Final = 200  # waiting messages; then log lines are dropped
MESSAGES_UNTIL: Final = 1000  # then the client is

_LEVELS: Final = logging.getLevelNamesMapping()


class Connection:
    """``scope`` and ``token`` are what it was admitted with, ``kinds`` what it may be told now, which may shrink."""

    def __init__(self, scope: Any, token: str | None, kinds: frozenset[Kind]) -> None:
        self.scope = scope
        self.token = token
        self.kinds = kinds
        self._asked_for_jobs = False
        self._asked_for_syncs = False
        self._level: int | None = None
        self._pending: dict[int, dict[str, Any]] = {}  # by job: its newest update, not sent yet

    def subscribe(self, wish: Mapping[str, Any]) -> bool:
        """``{"update": "job"}``, ``{"loglevel": "DEBUG"}`` (that and above), ``{"sync": "all"}``.

        ``{"update": "device"}`` is accepted, but there is nothing to tell. Returns False for anything else.
        """
        match wish:
            case {"update": "job"}:
                self._asked_for_jobs = True
            case {"update": "device"}:
                pass
            case {"loglevel": str(level)} if level.upper() in _LEVELS:
                self._level = _LEVELS[level.upper()]
            case {"sync": _}:
                self._asked_for_syncs = True
            case _:
                return False
        return True

    @property
    def wants_jobs(self) -> bool:
        return self._asked_for_jobs and Kind.JOB in self.kinds

    @property
    def wants_syncs(self) -> bool:
        return self._asked_for_syncs and Kind.JOB in self.kinds

    def add(self, updates: Mapping[int, dict[str, Any]]) -> bool:
        """False if too many updates wait for this client."""
        if self.wants_jobs:
            for job_id, update in updates.items():
                self._pending.pop(job_id, None)
                self._pending[job_id] = update
        return len(self._pending) <= MOST_PENDING

    @property
    def is_behind(self) -> bool:
        return bool(self._pending)

    def next_updates(self) -> list[dict[str, Any]]:
        if not self.wants_jobs:
            self._pending.clear()
        first = list(self._pending)[:JOBS_A_LOOK]
        return [self._pending.pop(job_id) for job_id in first]

    def wants_line(self, level: str) -> bool:
        may = self._level is not None and Kind.LOG in self.kinds
        return may and _LEVELS.get(level, logging.CRITICAL) >= (self._level or 0)


def update_of(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """What front ends are told of a job in this state. They hear nothing of a waiting job."""
    update = {"job_id": job["id"], "status": job["status"]}
    match job["status"]:
        case Status.RUNNING:
            return {**update, "function_name": job["function_name"], "scheduled_by": job["scheduled_by"]}
        case Status.FINISHED:
            return update if job["next_job_id"] is None else {**update, "next_job_id": job["next_job_id"]}
        case Status.EXCEPTION:
            return {**update, "exception": job["exception"]["message"]}
    return None


def lines_of(log: Told) -> Iterator[tuple[str, str]]:
    """Level and text of each line. Front ends find those of a job by "job #<id>"."""
    for line in log.data["lines"]:
        device = f"{line['device']}: " if line["device"] and line["device"] not in line["text"] else ""
        head = f"[{line['time']}] {line['level']} in {line['module']} job #{log.job_id}:"
        yield line["level"], f"{head} {device}{line['text']}"
