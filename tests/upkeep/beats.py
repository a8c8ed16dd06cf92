"""Heartbeats and a monotonic clock in a test's hand."""

import json
from typing import Any
from uuid import uuid4

from django.db.models import F

from cnaasjobs.db.clock import DatabaseNow
from jobs.dispatch import scheduling
from jobs.lifecycle import transitions
from jobs.models import Heartbeat, Job
from jobs.run import Run
from jobs.task import JobTask
from jobs.upkeep.rescue import Rescue
from tests import fake_jobs


def heartbeat(kind: str = "worker", name: str = "w1@host", **fields: Any) -> Heartbeat:
    return Heartbeat.objects.create(
        kind=kind, name=name, pid=4711, started_at=DatabaseNow(), last_seen=DatabaseNow(), **fields
    )


def beat(row: Heartbeat, *runs: Run) -> None:
    """The process writes its heartbeat, with these runs in progress."""
    tokens = json.dumps([str(run.run_token) for run in runs])
    Heartbeat.objects.filter(pk=row.pk).update(
        counter=F("counter") + 1, last_seen=DatabaseNow(), run_tokens=tokens, stopped_at=None
    )


def run_on(worker: Heartbeat | None, task: JobTask = fake_jobs.nothing) -> tuple[Job, Run]:
    """A job that this worker claimed."""
    job = scheduling.schedule(task, {})
    run = transitions.claim(
        job.pk,
        task_name=job.task_name,
        run_token=uuid4(),
        worker_id=worker.pk if worker else None,
        worker=worker.name if worker else "",
    )
    assert isinstance(run, Run)
    return job, run


class Watcher:
    """A Beat that looks at the workers; its seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.own = heartbeat("beat", "beat@host")
        self.rescue = Rescue(own_heartbeat=lambda: self.own.pk, clock=lambda: self.now)

    def look(self, seconds: float = 2.0, *, own_beats: bool = True) -> int:
        """Let ``seconds`` pass and look. Returns how many runs were ended."""
        self.now += seconds
        if own_beats:
            beat(self.own)
        return self.rescue.step()
