"""Asks the database until it answers, where giving up is not allowed."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeVar

from django.db import Error

from cnaasjobs.conf import conf
from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from jobs.actions import JobAction

T = TypeVar("T")

_RETRY_SECONDS: Final = 0.5


def too_late(seconds: float) -> bool:
    """Whether an answer that took this long must not count: this process may have been judged lost meanwhile."""
    return seconds >= conf.worker_lost_seconds / 2


def until_answered(
    database: Callable[[], AbstractContextManager[None]],
    ask: Callable[[], T],
    again: Callable[[], T] | None = None,
    *,
    job_id: int,
) -> T:
    """Call ``ask`` until the database answers; ``again`` instead, once an answer may be lost or came too late."""
    while True:
        asked = time.monotonic()
        try:
            with database():
                answer = ask()
            if again is None or not too_late(time.monotonic() - asked):
                return answer
        except Error as exc:
            if not not_now(exc):
                raise
            record(JobAction.DEVICES_WAIT, job_id=job_id, error=str(exc))
            time.sleep(_RETRY_SECONDS)
        ask = again or ask
