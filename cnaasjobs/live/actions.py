"""What can happen in the events process. Each action is explained in docs/log-events.md."""

from logging import ERROR, INFO, WARNING

from cnaasjobs.events import Action


class LiveAction(Action):
    FEED_WAITS = "feed_waits", WARNING, "the change feed waits for the database: %(error)s"
    FEED_WORKS = "feed_works", INFO, "the change feed works again after %(waited_seconds).0f s"
    READER_DROPPED = "reader_dropped", INFO, "a reader of %(what)s was too slow, its connection is closed"
    NONSENSE = "nonsense", INFO, "%(count)d times a client sent something invalid: %(kinds)s"
    HANDLER_FAILED = "handler_failed", ERROR, "a message of a socket.io client could not be handled"
