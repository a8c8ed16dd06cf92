"""What front ends were last told about each job.

The feed reports a row as it is when it is read. A change between the reading of the numbers and that of the rows is
reported by this look and again by the next one; and most changes are progress, which front ends do not need.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from cnaasjobs.live.connections import update_of

MOST: Final = 10_000  # jobs; beyond these, a state that has not changed may be sent once more


class LastTold:
    def __init__(self) -> None:
        self._states: OrderedDict[int, tuple[str, int | None]] = OrderedDict()

    def forget(self) -> None:
        self._states.clear()

    def update(self, job: Mapping[str, Any]) -> dict[str, Any] | None:
        """What to tell about a job as the feed has it now; None if they know it, or are not told about this state."""
        key, state = job["id"], (job["status"], job["next_job_id"])
        knew = self._states.pop(key, None)
        self._states[key] = state
        if len(self._states) > MOST:
            self._states.popitem(last=False)
        return None if state == knew else update_of(job)
