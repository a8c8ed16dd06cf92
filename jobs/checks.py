"""System checks of the platform's settings: a wrong one is named at start, not found at night."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

_POSITIVE = [
    "CNAASJOBS_BEAT_MAX_SLEEP_SECONDS",
    "CNAASJOBS_HEARTBEAT_SECONDS",
    "CNAASJOBS_LOCK_WAIT_SECONDS",
    "CNAASJOBS_PROGRESS_SECONDS",
    "CNAASJOBS_PUBLISH_TIMEOUT_SECONDS",
    "CNAASJOBS_WORKER_LOST_SECONDS",
]


@register()
def settings_make_sense(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    wrong: list[CheckMessage] = [
        Error(f"{name} must be greater than zero, it is {getattr(settings, name)}", id="jobs.E001")
        for name in _POSITIVE
        if getattr(settings, name) <= 0
    ]
    if settings.CNAASJOBS_WORKER_LOST_SECONDS < 3 * settings.CNAASJOBS_HEARTBEAT_SECONDS:
        wrong.append(
            Error(
                "CNAASJOBS_WORKER_LOST_SECONDS must be at least three times CNAASJOBS_HEARTBEAT_SECONDS, "
                "or a live worker looks lost",
                id="jobs.E002",
            )
        )
    return wrong
