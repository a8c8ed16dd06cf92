"""How every process here logs: one JSON object per line on stderr, with a call's ``extra`` at its top level."""

import logging
import os
import select
import stat
import threading
from collections import deque
from typing import Any, Final

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

# No log line shows these, and finding them out would cost time for each.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


PATIENCE_SECONDS: Final = 1.0
MOST_LINES: Final = 10_000  # that are kept for a stream that takes none
# Characters, which are bytes, as JSON is ASCII here. A pipe that takes anything takes this much, and no line of another
# process comes between.
_PORTION: Final = select.PIPE_BUF


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

    A pipe is full when nobody reads it: a collector of logs that hangs must not stop every process that logs. After a
    moment nobody waits for it; the newest lines are kept, and written when it takes some again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._turn = threading.Lock()
        self._is_full = False
        self._polled: Any = None  # the stream that ``_poll_of_it`` is of
        self._poll_of_it: select.poll | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + self.terminator)
            # Checked once more after each turn: another thread may have left a line just before its end.
            while self._lines and self._turn.acquire(blocking=False):
                try:
                    if not self._wrote():
                        return
                finally:
                    self._turn.release()
        except Exception:  # noqa: BLE001  as any handler: it says so on stderr, and what is being logged goes on
            self.handleError(record)

    def _wrote(self) -> bool:
        """Whether all lines could be written."""
        while self._lines:
            poll = self._poll()
            if poll is not None and not self._takes_some(poll):
                return False
            text = self._lines.popleft()
            while self._lines and len(text) + len(self._lines[0]) <= _PORTION:
                text += self._lines.popleft()
            if poll is not None and len(text) > _PORTION:
                self._lines.appendleft(text[_PORTION:])
                text = text[:_PORTION]
            self.stream.write(text)
            self.flush()
        return True

    def _takes_some(self, poll: select.poll) -> bool:
        self._is_full = not poll.poll(0 if self._is_full else PATIENCE_SECONDS * 1000)
        return not self._is_full

    def _poll(self) -> "select.poll | None":
        """None for a stream that is never full: an ordinary file, in which lines of any length stay whole."""
        if self._polled is not self.stream:
            self._polled, self._poll_of_it = self.stream, _poll_of(self.stream)
        return self._poll_of_it


def _poll_of(stream: Any) -> "select.poll | None":
    try:
        descriptor = stream.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
    except (AttributeError, OSError):  # it is no file
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return poll


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
