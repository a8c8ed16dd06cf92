"""How every process here logs: one JSON object per line on stderr, with a call's ``extra`` at its top level."""

import logging
import os
import threading
from collections import deque
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

# No log line shows these, and finding them out would cost time for each.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class ForManyAtOnce(logging.Handler):
    """A handler without a lock: several threads may be in ``emit`` at once, and a signal handler may interrupt it.

    Its filters may refuse a record, but not replace it.
    """

    def acquire(self) -> None:
        """Not needed."""

    def release(self) -> None:
        """See ``acquire``."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Python 3.13 takes the lock here without asking ``acquire``."""
        kept = bool(self.filter(record))
        if kept:
            self.emit(record)
        return kept


class Lines(ForManyAtOnce, logging.StreamHandler[Any]):
    """Writes lines to stderr, by one thread at a time, for which the others do not wait.

    A thread that comes while a line is being written leaves its own, which is written with the next. If it waited, it
    would wait until the writer got Python's lock back, for which fifty threads queue in a sync.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lines: deque[str] = deque()
        self._turn = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + self.terminator)
            # Checked once more after each turn: another thread may have left a line just before its end.
            while self._lines and self._turn.acquire(blocking=False):
                try:
                    self._write()
                finally:
                    self._turn.release()
        except Exception:  # noqa: BLE001  as any handler: it says so on stderr, and what is being logged goes on
            self.handleError(record)

    def _write(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        self.stream.write("".join(lines))
        self.flush()


def logging_config(level: str, formatter: type[JsonFormatter]) -> dict[str, Any]:
    """The dictionary for ``logging.config.dictConfig``. All loggers, Django's too, use the root's one handler."""
    quiet = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": formatter,
                "fmt": "%(levelname)s %(name)s %(message)s",
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": "time",
                # Django adds the request object, which says nothing as text; Python 3.12 adds taskName.
                "reserved_attrs": [*RESERVED_ATTRS, "request", "taskName"],
            }
        },
        "handlers": {"stderr": {"()": Lines, "formatter": "json"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            "django": {**quiet, "level": level},
            "django.request": {**quiet, "level": "ERROR"},  # a client's 404 is not worth logging
            "django.security.DisallowedHost": {**quiet, "level": "CRITICAL"},
            # Celery logs two lines for each task; a job's own transitions say more.
            "celery.worker.strategy": {**quiet, "level": "WARNING"},
            "celery.app.trace": {**quiet, "level": "WARNING"},
            # Its INFO lines hold a WebSocket's whole URL, and with it the token of a front end.
            "uvicorn.error": {**quiet, "level": "WARNING"},
            "uvicorn.access": {**quiet, "level": "WARNING"},
            "gunicorn.error": {**quiet, "level": level},
            "gunicorn.access": {**quiet, "level": "WARNING"},  # clients poll once a second; a proxy logs them better
        },
    }
