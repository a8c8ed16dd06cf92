"""Celery tasks that are no jobs: which of them a worker calls, and Beat sends."""

from typing import Final

from cnaasjobs.conf import conf

CELERYS_OWN: Final = "celery."
# What a recurring schedule could say to Celery about its message. Its queue, priority and end are left.
REFUSED_OPTIONS: Final = ("exchange", "routing_key", "headers")


def is_allowed(name: str) -> bool:
    """``CNAASJOBS_PLAIN_TASKS`` names it. Never one of Celery's own: these call whatever a message asks for."""
    return name in conf.plain_tasks and not name.startswith(CELERYS_OWN)
