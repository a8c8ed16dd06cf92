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
    "CNAASJOBS_REPUBLISH_AFTER_SECONDS",
    "CNAASJOBS_RETENTION_EXCEPTION_DAYS",
    "CNAASJOBS_RETENTION_FINISHED_DAYS",
    "CNAASJOBS_UPKEEP_SECONDS",
    "CNAASJOBS_WORKER_LOST_SECONDS",
]


@register()
def settings_make_sense(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    wrong: list[CheckMessage] = [
        Error(f"{name} must be greater than zero, it is {getattr(settings, name)}", id="jobs.E001")
        for name in _POSITIVE
        if (value := getattr(settings, name)) is not None and value <= 0
    ]
    for name in ("CNAASJOBS_HEARTBEAT_SECONDS", "CNAASJOBS_UPKEEP_SECONDS"):
        if 3 * getattr(settings, name) > settings.CNAASJOBS_WORKER_LOST_SECONDS:
            wrong.append(
                Error(
                    f"CNAASJOBS_WORKER_LOST_SECONDS must be at least three times {name}, or a live worker looks lost",
                    id="jobs.E002",
                )
            )
    return wrong
