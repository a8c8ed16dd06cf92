"""System checks of this app's settings."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning, register

from cnaasjobs.conf import conf
from cnaasjobs.secrecy import PREFIX, Secrets

SHORT_SECRET = 4


@register()
def settings_make_sense(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Only warnings: what the API answers with a 503, or a device's result shows, need not prevent a start."""
    return [*_warnings()]


def _warnings() -> Iterator[CheckMessage]:
    if not conf.nornir_config.is_file():
        yield Warning(f"NORNIR_CONFIG is not a file: {conf.nornir_config}", id="devices.W001")
    if not conf.templates.is_dir():
        yield Warning(f"CNAASJOBS_TEMPLATES is not a directory: {conf.templates}", id="devices.W002")
    variables = Secrets.from_environment().variables
    short = sorted(name for name, value in variables.items() if 0 < len(value) < SHORT_SECRET)
    if short:
        yield Warning(
            f"{', '.join(short)}: a value this short is also masked where it is not a secret",
            hint=f"Give {PREFIX}* values of at least {SHORT_SECRET} characters.",
            id="devices.W003",
        )
