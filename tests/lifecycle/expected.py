"""What the model expects of all jobs together: which one runs, which wait in which order, and which has the lock."""

from jobs.run import Run
from jobs.states import TERMINAL, Status
from tests.lifecycle.model import WITH_LOCK, Model
from tests.lifecycle.seen import Row

SCHEDULED, RUNNING = Status.SCHEDULED, Status.RUNNING


class Expected:
    model: dict[int, Model]
    rows: dict[int, Row]  # after the last call
    granted: list[Run]  # every one, also those that are over

    def _unfinished(self) -> int:
        return sum(1 for model in self.model.values() if model.status not in TERMINAL)

    def _waiting(self) -> list[int]:
        return [job_id for job_id, m in self.model.items() if m.status is SCHEDULED and m.due and not m.unapproved]

    def _holder(self) -> int | None:
        return next((job_id for job_id, model in self.model.items() if model.holds), None)

    def _in_line(self) -> list[int]:
        waiting = [job_id for job_id in self._waiting() if self.model[job_id].kind in WITH_LOCK]
        return sorted(waiting, key=lambda job_id: (self.rows[job_id].scheduled_time, job_id))

    def _first_in_line(self) -> int | None:
        return next(iter(self._in_line()), None)

    def _current(self) -> list[Run]:
        return [run for run in self.granted if self._is_current(run)]

    def _is_current(self, run: Run) -> bool:
        model = self.model[run.job_id]
        return model.status is RUNNING and model.token == run.run_token

    def _ended(self, job_id: int, status: Status, end: str | None = None, *, attempt: bool = False) -> None:
        model = self.model[job_id]
        model.status, model.end, model.token, model.holds, model.unapproved = status, end, None, False, False
        model.attempt += attempt

    def _waits_again(self, job_id: int, *, due: bool) -> None:
        model = self.model[job_id]
        model.status, model.due, model.token, model.holds = SCHEDULED, due, None, False
