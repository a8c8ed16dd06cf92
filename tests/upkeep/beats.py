"""Heartbeats as workers and Beats write them, at the moment that a test says, and a monotonic clock in its hand."""

from types import SimpleNamespace
from typing import Any

from celery import current_app

from cnaasjobs.db.clock import DatabaseNow
from jobs.beat.heartbeat import BeatHeartbeat
from jobs.dispatch import scheduling
from jobs.models import Heartbeat, Job
from jobs.run import Run
from jobs.task import JobTask
from jobs.upkeep.rescue import Rescue
from jobs.worker.heartbeat import WorkerHeartbeat
from tests import fake_jobs
from tests.factory import claim


class Worker:
    """A worker's own heartbeat, with the runs that the test says are in progress."""

    def __init__(self, name: str = "w1@host") -> None:
        self._heartbeat = WorkerHeartbeat()
        self._run_tokens: list[str] = []
        worker = SimpleNamespace(hostname=name, app=current_app, pool=None)
        self._heartbeat.enlist(worker, lambda: self._run_tokens, give_up=lambda: None)

    @property
    def row(self) -> Heartbeat:
        assert self._heartbeat.row_id is not None
        return Heartbeat.objects.get(pk=self._heartbeat.row_id)

    def beat(self, *runs: Run) -> None:
        """Write it, with these runs in progress."""
        self._run_tokens = [str(run.run_token) for run in runs]
        self._heartbeat._beat()


def heartbeat(kind: str = "worker", name: str = "w1@host", **fields: Any) -> Heartbeat:
    return Heartbeat.objects.create(
        kind=kind, name=name, pid=4711, started_at=DatabaseNow(), last_seen=DatabaseNow(), **fields
    )


def run_on(worker: Worker | None, task: JobTask = fake_jobs.nothing) -> tuple[Job, Run]:
    """A job that this worker claimed."""
    job, row = scheduling.schedule(task, {}), worker.row if worker else None
    run = claim(job, worker_id=row.pk if row else None, worker=row.name if row else "")
    assert isinstance(run, Run)
    return job, run


class Watcher:
    """A Beat that looks at the workers; its seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.own = BeatHeartbeat()
        self.rescue = Rescue(own_heartbeat=lambda: self.own.row_id, clock=lambda: self.now)

    def look(self, seconds: float = 2.0, *, own_beats: bool = True) -> int:
        """Let ``seconds`` pass and look. Returns how many runs were ended."""
        self.now += seconds
        if own_beats:
            self.own.step()
        return self.rescue.step()
