"""An exception that ends a thread which the body started. Nobody else hears of it: Python prints it, as plain text."""

import threading

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.errors import JobStopped


def install() -> None:
    """Call this in the child. Such an exception is then a line of the process's log and of the job's."""
    threading.excepthook = log


def log(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit | JobStopped):
        return  # SystemExit is a way to end a thread; why a job was stopped, its end says
    name = ended.thread.name if ended.thread else "of the body"
    record(JobAction.THREAD_FAILED, exc=ended.exc_value, thread_name=name)
