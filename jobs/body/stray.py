"""An exception that ends a thread which the body started. Nobody else hears of it: Python prints it, as plain text."""

import logging
import threading

from jobs.errors import JobStopped

_logger = logging.getLogger(__name__)


def install() -> None:
    """Call this in the child. Such an exception is then a line of the process's log and of the job's."""
    threading.excepthook = log


def log(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit | JobStopped):
        return  # SystemExit is a way to end a thread; why a job was stopped, its end says
    name = ended.thread.name if ended.thread else "of the body"
    _logger.error("an exception ended thread %s", name, exc_info=ended.exc_value)
