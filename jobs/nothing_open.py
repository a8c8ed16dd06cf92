"""In a worker, what the platform stores is part of nobody else's transaction: it would be lost with that."""

from typing import Any

from cnaasjobs.db.left_open import roll_back_left_open
from cnaasjobs.events import record
from jobs.actions import JobAction


def roll_back_others(task: Any) -> None:
    """End what other code than a job's body has left open in this thread: a receiver of Celery's signals, for instance.

    Only for a message. Around a task that was called in another way, its caller's transaction may go on.
    """
    is_message = task.request.delivery_info and not task.request.is_eager
    if is_message and roll_back_left_open():
        record(JobAction.LEFT_OPEN, task=task.name)
