"""Keeps secrets out of the log, whoever logs them: a driver's library may print what it sends at level DEBUG."""

import logging

from pythonjsonlogger.json import JsonFormatter

from cnaasjobs.secrecy import mask


class MaskedJsonFormatter(JsonFormatter):
    """JSON lines without any secret that is known in this process."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))
