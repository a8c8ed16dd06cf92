"""The worker's bootstep: its heartbeat is written before it consumes, and its threads watch over its runs."""

from typing import Any

from celery import bootsteps
from celery.worker import state

from jobs.task import JobTask
from jobs.worker.ends import reporter
from jobs.worker.heartbeat import heartbeat
from jobs.worker.request import JobRequest, in_progress
from jobs.worker.watch import Watch


class Supervision(bootsteps.StartStopStep):
    """Starts before the consumer, which is the last step. Ends with the process: see ``Watch``."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        JobTask.Request = JobRequest  # before the consumer derives its own class from it for each task
        heartbeat.enlist(worker, in_progress.run_tokens, give_up=state.maybe_shutdown)
        heartbeat.start()
        reporter.start()
        Watch(worker).start()
