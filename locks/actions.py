"""What a person can do to a lock. Each action is explained in docs/log-events.md."""

from logging import WARNING

from cnaasjobs.events import Action


class LockAction(Action):
    CLEAR = "clear", WARNING, "lock %(lock)s cleared", "job_id who origin"
