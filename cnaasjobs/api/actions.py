"""What can happen in the HTTP API. Each action is explained in docs/log-events.md."""

from logging import WARNING

from cnaasjobs.events import Action


class ApiAction(Action):
    DATABASE_AWAY = "database_away", WARNING, "the database is away: %(error)s"
    CREDENTIALS_REFUSED = "credentials_refused", WARNING, "%(failures)d wrong %(kind)ss from %(address)s"
