"""Celery tasks that are not jobs: which of them workers may call and Beat may send."""

from typing import Final

from cnaasjobs.conf import conf

CELERYS_OWN: Final = "celery."
# Message options that a recurring schedule may not pass to Celery. It may set queue, priority and end.
REFUSED_OPTIONS: Final = ("exchange", "routing_key", "headers")


def is_allowed(name: str) -> bool:
    """Whether ``CNAASJOBS_PLAIN_TASKS`` names it. Never true of Celery's own: they call whatever a message asks for."""
    return name in conf.plain_tasks and not name.startswith(CELERYS_OWN)
