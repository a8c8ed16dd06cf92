"""What can happen when a process starts. Each action is explained in docs/log-events.md."""

from logging import WARNING

from cnaasjobs.events import Action


class StartAction(Action):
    UNWISE_SETTING = "unwise_setting", WARNING, "%(problem)s", "check"
    DATABASE_UNSEEN = "database_unseen", WARNING, "the database could not be checked: %(error)s"
