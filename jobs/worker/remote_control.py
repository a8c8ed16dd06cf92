"""Celery's remote control (``celery inspect``, ``celery control``), where the setting turns it on.

Anyone who can write to the broker can then use it, so no answer shows settings: some hold credentials.
"""

from typing import Any, Final

from celery.worker.control import Panel

SETTINGS: Final = ("conf", "dump_conf", "report")  # Celery's commands that show settings
REFUSAL: Final = {"error": "a worker shows no settings: some hold credentials"}


def restrict() -> None:
    """Call before the worker connects."""
    for command in SETTINGS:
        Panel.data[command] = _refuse


def _refuse(state: Any, **_: Any) -> dict[str, str]:
    return REFUSAL
