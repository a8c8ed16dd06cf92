"""System checks of the platform's tables."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import Error as DatabaseAway
from django.db import connections

from cnaasjobs.db.changes import without_triggers


@register(Tags.database)
def changes_are_numbered(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    return [
        Error(
            f"Changes in {table} would not be noticed: it has lost the triggers that number them",
            hint="On SQLite `manage.py migrate --skip-checks` recreates them.",
            id="jobs.E001",
        )
        for alias in databases or ()
        for table in _without_triggers(alias)
    ]


def _without_triggers(alias: str) -> list[str]:
    try:
        return [*without_triggers(connections[alias])]
    except DatabaseAway:  # ``cnaasjobs.checks`` says so
        return []
