"""Ends the runs of workers that are gone (``jobs.liveness.lost`` says which), and marks these workers' heartbeats."""

import time
from collections.abc import Callable
from datetime import timedelta

from cnaasjobs.db.built import Built
from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.background.one_by_one import OneByOne
from jobs.end_reasons import EndReason
from jobs.lifecycle import transitions
from jobs.liveness.lost import HeldRun, Lost
from jobs.models import Heartbeat, Job, Participant
from jobs.states import Status

_BATCH = 200
_KEEP_ROWS = timedelta(days=7)


class Rescue:
    def __init__(self, own_heartbeat: Callable[[], int | None], clock: Callable[[], float] = time.monotonic) -> None:
        """``own_heartbeat`` names the heartbeat row of this process, None until it has one."""
        self._lost = Lost(own_heartbeat, clock)
        # A worker that vanished may have left an open transaction that locks its job's rows.
        self._end = OneByOne("rescue of a job", _lose, key=lambda lost: str(lost[0].token))

    def step(self) -> int:
        """Look once, and end the runs that are lost. Returns how many."""
        self._lost.look()
        ended = self._end(self._lost.runs(_held()))
        self._bury()
        return ended

    def _bury(self) -> None:
        """Mark those that are gone (one that was only frozen removes its mark itself), and delete old heartbeats."""
        for row in self._lost.processes():
            unmoved = Heartbeat.objects.filter(pk=row.id, counter=row.counter, stopped_at__isnull=True)
            if unmoved.update(stopped_at=DatabaseNow()):
                record(JobAction.LOST, kind=row.kind, worker=row.name, pid=row.pid)
        kept = self._lost.stopped_with_runs()
        if ids := [pk for (pk,) in _old.rows() if pk not in kept][:_BATCH]:
            Heartbeat.objects.filter(pk__in=ids, stopped_at__isnull=False).delete()


def _held() -> list[HeldRun]:
    """Each process that takes part in a run, be that over by now; of a run where none does, the run itself."""
    held = [HeldRun(*part) for part in _parts.rows()]
    shared = {part.job_id for part in held}
    return held + [HeldRun(*run) for run in _runs.rows() if run[0] not in shared]


_parts = Built(lambda _: Participant.objects.values_list("job_id", "token", "worker_id", "worker", "joined_at"))
_runs = Built(
    lambda _: Job.objects.filter(status=Status.RUNNING.value, run_token__isnull=False).values_list(
        "id", "run_token", "worker_id", "worker", "start_time"
    )
)
_old = Built(lambda _: Heartbeat.objects.filter(stopped_at__lt=DatabaseNow() - _KEEP_ROWS).values_list("id"))


def _lose(lost: tuple[HeldRun, str]) -> int:
    held, why = lost
    return transitions.lose(held.job_id, held.token, type=EndReason.WORKER_LOST, message=why)
