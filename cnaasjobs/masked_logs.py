"""Keeps secrets out of the log, wherever they come from: a driver's library may log what it sends at level DEBUG."""

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from cnaasjobs.secrecy import mask, mask_all


class MaskedJsonFormatter(JsonFormatter):
    """JSON lines without any secret that this process knows."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Each text as it was said."""
        masked: dict[str, Any] = mask_all(super().process_log_record(log_data))
        return masked

    def format(self, record: logging.LogRecord) -> str:
        """And what only becomes a text as JSON."""
        return mask(super().format(record))
