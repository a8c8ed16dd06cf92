"""An answer that took too long does not count: the run may have been taken for lost meanwhile.

The network may delay an answer, or this process may be frozen while it waits: what was true when the database answered
is then no reason to begin anything.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.fleet.asking import too_late

T = TypeVar("T")


def fresh(ask: Callable[[], T], *, job_id: int) -> T:
    """What ``ask`` returns. It is called again whenever it took so long that the run may have been judged lost."""
    while True:
        asked = time.monotonic()
        answer = ask()
        took = time.monotonic() - asked
        if not too_late(took):
            return answer
        record(JobAction.ANSWER_LATE, job_id=job_id, seconds=round(took, 1))
