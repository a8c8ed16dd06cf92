"""Workers that write a heartbeat when a test tells them to, and the jobs that they have claimed."""

from types import SimpleNamespace

from celery import current_app

from jobs.dispatch import scheduling
from jobs.models import Heartbeat, Job
from jobs.run import Run
from jobs.task import JobTask
from jobs.worker.heartbeat import WorkerHeartbeat
from tests import fake_jobs
from tests.factory.jobs import claim


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


def run_on(worker: Worker | None, task: JobTask = fake_jobs.nothing) -> tuple[Job, Run]:
    """A job that this worker claimed."""
    job, row = scheduling.schedule(task, {}), worker.row if worker else None
    run = claim(job, worker_id=row.pk if row else None, worker=row.name if row else "")
    assert isinstance(run, Run)
    return job, run
