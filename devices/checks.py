"""System checks of this app's settings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from devices.masking import PREFIX, Secrets

SHORT_SECRET = 4
MAX_CONFIRM_MINUTES = 120  # more than IOS can do


@register()
def settings_make_sense(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    return [*_errors(), *_warnings()]


def _errors() -> Iterator[CheckMessage]:
    mode, minutes = settings.CNAASJOBS_CONFIRM_MODE, settings.CNAASJOBS_CONFIRM_MINUTES
    if mode not in (0, 1, 2):
        yield Error(f"CNAASJOBS_CONFIRM_MODE must be 0, 1 or 2, it is {mode}", id="devices.E001")
    if not 1 <= minutes <= MAX_CONFIRM_MINUTES:
        message = f"CNAASJOBS_CONFIRM_MINUTES must be from 1 to {MAX_CONFIRM_MINUTES}, it is {minutes}"
        yield Error(message, id="devices.E002")
    if settings.CNAASJOBS_INVENTORY_CACHE_SECONDS < 0:
        yield Error("CNAASJOBS_INVENTORY_CACHE_SECONDS must not be negative", id="devices.E003")


def _warnings() -> Iterator[CheckMessage]:
    """What the API answers with a 503, or a device's result shows, is no reason not to start."""
    if not Path(settings.NORNIR_CONFIG).is_file():
        yield Warning(f"NORNIR_CONFIG names no file: {settings.NORNIR_CONFIG}", id="devices.W001")
    if not Path(settings.CNAASJOBS_TEMPLATES).is_dir():
        yield Warning(f"CNAASJOBS_TEMPLATES names no directory: {settings.CNAASJOBS_TEMPLATES}", id="devices.W002")
    variables = Secrets.from_environment().variables
    short = sorted(name for name, value in variables.items() if 0 < len(value) < SHORT_SECRET)
    if short:
        yield Warning(
            f"{', '.join(short)}: so short a value is masked in much that is no secret",
            hint=f"Give {PREFIX}* values of at least {SHORT_SECRET} characters.",
            id="devices.W003",
        )
