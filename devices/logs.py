"""Keeps secrets out of the log, whoever logs them: a driver's library may print what it sends at level DEBUG."""

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from devices.masking import Secrets


class MaskedJsonFormatter(JsonFormatter):
    """JSON lines in which each ``TEMPLATE_SECRET_*`` value is replaced by its variable's name."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._secrets = Secrets.from_environment()  # of the process; it does not change

    def format(self, record: logging.LogRecord) -> str:
        return self._secrets.mask(super().format(record))
