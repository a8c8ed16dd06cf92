"""Keeps secrets out of the log, wherever they come from: a driver's library may log what it sends at level DEBUG."""

import logging

from pythonjsonlogger.json import JsonFormatter

from cnaasjobs.secrecy import mask


class MaskedJsonFormatter(JsonFormatter):
    """JSON lines without any secret that this process knows."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))
