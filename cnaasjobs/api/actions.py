"""What may happen at the HTTP API. Each is explained in docs/log-events.md."""

from logging import WARNING

from cnaasjobs.events import Action


class ApiAction(Action):
    DATABASE_AWAY = "database_away", WARNING, "the database is away: %(error)s"
