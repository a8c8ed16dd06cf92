"""Celery's remote control (``celery inspect``, ``celery control``), for whom the setting turns it on.

Whoever can write to the broker can then ask: no answer shows a setting, for some hold credentials.
"""

from typing import Any, Final

from celery.worker.control import Panel

SETTINGS: Final = ("conf", "dump_conf", "report")  # Celery's commands that show them
REFUSAL: Final = {"error": "a worker shows no settings: some hold credentials"}


def restrict() -> None:
    """Before the worker connects."""
    for command in SETTINGS:
        Panel.data[command] = _refuse


def _refuse(state: Any, **_: Any) -> dict[str, str]:
    return REFUSAL
