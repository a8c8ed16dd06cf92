"""What a job's code logs is kept with the job: in batches, without secrets, within limits. It never slows a job down.

While the database is away lines are dropped and counted. ``JobLog`` is the log of one run in this process; a handler at
the root of all loggers passes each line to the run whose code logged it.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final, NamedTuple

import orjson

from cnaasjobs.conf import conf
from cnaasjobs.logs import ForManyAtOnce
from cnaasjobs.secrecy import masker, storable
from jobs.body import written_later
from jobs.fleet.hands import in_hand
from jobs.sql.signature import LogBatch

MOST_LINES: Final = 10_000
MOST_BYTES: Final = 1_000_000
_LONGEST: Final = 10_000  # characters of one line
_PORTION: Final = 100  # lines are masked and written down while the body goes on, so that its end waits for few of them
# Our own loggers, and those of libraries whose INFO lines describe how they work, not what the job does. From WARNING
# on they are kept too.
_QUIET: Final = frozenset(
    "paramiko ncclient netmiko nornir celery kombu amqp django cnaasjobs jobs locks".split()  # noqa: SIM905
)

Write = Callable[[LogBatch, int, int], bool]  # a batch, and how many lines and bytes the job may then have


class PendingLine(NamedTuple):
    """A line that was logged and is not stored yet."""

    time: float
    level: str
    module: str
    device: str | None
    text: str

    def kept(self, masked: Callable[[str], str]) -> tuple[str, str, str, str | None, str]:
        """What is stored of it. Secrets are masked before anything is cut."""
        moment = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="microseconds")[:26]
        text = masked(self.text)
        cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        return moment, self.level, masked(self.module), self.device and masked(self.device), cut


class JobLog:
    """The lines of one run. The last batch is written before the job ends."""

    def __init__(self, write: Write) -> None:
        """``write`` stores a batch; it is called in another thread, and may fail while the database is away."""
        self._write = write
        self._pending: list[PendingLine] = []
        self._portions: list[LogBatch] = []  # what came before these, ready to be stored
        self._lines = self._bytes = self._dropped = 0
        self._mutex = threading.Lock()
        self._preparing = threading.Lock()  # whoever masks may log a line of their own: never inside the mutex
        self._writing = threading.Lock()
        self._is_due = self._closed = False

    def add(self, line: PendingLine) -> None:
        with self._mutex:
            size = len(line.text)
            if self._closed or self._lines >= MOST_LINES or self._bytes + size > MOST_BYTES:
                self._dropped += 1
                return
            self._lines += 1
            self._bytes += size
            self._pending.append(line)
            is_new, self._is_due = not self._is_due, True
            is_full = len(self._pending) >= _PORTION
        if is_new:
            written_later.add(self)
        if is_full and self._preparing.acquire(blocking=False):
            try:
                self._prepare()
            finally:
                self._preparing.release()

    def flush(self) -> None:
        with self._writing:
            with self._mutex:
                self._is_due = False
            with self._preparing:
                self._prepare()
                portions, self._portions = self._portions, []
            if portions and not self._stored(portions):
                with self._mutex:
                    self._dropped += sum(portion.lines for portion in portions)

    def close(self) -> None:
        """Write what there is. Nothing is accepted after this."""
        with self._mutex:
            self._closed, is_due, self._is_due = True, self._is_due, False
            if not self._lines and not self._dropped:
                return
        if is_due:
            written_later.remove(self)
        self.flush()
        if self._dropped:
            words = f"{self._dropped} lines were dropped: the log was full, or the database away"
            last = PendingLine(datetime.now(UTC).timestamp(), "WARNING", __name__, None, words)
            self._stored([_portion([last])], most_lines=MOST_LINES * 2, most_bytes=MOST_BYTES * 2)

    def _prepare(self) -> None:
        """One at a time, so that lines stay in their order."""
        with self._mutex:
            lines, self._pending = self._pending, []
        try:
            self._portions += [_portion(lines)] if lines else []
        except Exception:  # noqa: BLE001  somebody made a record with a time or a level that makes no sense
            self._prepare_singly(lines)

    def _prepare_singly(self, lines: list[PendingLine]) -> None:
        for line in lines:
            try:
                self._portions.append(_portion([line]))
            except Exception:  # noqa: BLE001  this line alone is lost, and counted
                with self._mutex:
                    self._dropped += 1

    def _stored(self, portions: list[LogBatch], *, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES) -> bool:
        batch = LogBatch(
            lines=sum(portion.lines for portion in portions),
            size=sum(portion.size for portion in portions),
            text=f"[{','.join(portion.text for portion in portions)}]",
        )
        try:
            return self._write(batch, most_lines, most_bytes)
        except Exception:  # noqa: BLE001  it is only for display: whatever the database says, the job goes on
            return False


def _portion(lines: list[PendingLine]) -> LogBatch:
    """These lines as part of a batch's JSON list, without its brackets."""
    mask = masker()
    kept = [line.kept(lambda text: storable(mask(text))) for line in lines]
    size = sum(len(line[-1]) if line[-1].isascii() else len(line[-1].encode()) for line in kept)
    return LogBatch(lines=len(kept), size=size, text=orjson.dumps(kept)[1:-1].decode())


# --- the handler ------------------------------------------------------------------------------------------------------

_logs: dict[int, JobLog] = {}  # of the runs in this process, by the thread of their body


class _Handler(ForManyAtOnce):
    """Each log has a lock of its own."""

    def handle(self, record: logging.LogRecord) -> bool:
        return bool(_logs) and super().handle(record)  # most lines are the platform's own, between two bodies

    def emit(self, record: logging.LogRecord) -> None:
        log = _log_of_this_thread()
        if log is None or (record.levelno < logging.WARNING and record.name.partition(".")[0] in _QUIET):
            return
        try:
            text = record.getMessage()
            if record.exc_info:
                text = f"{text}\n{_formatter.formatException(record.exc_info)}"
            piece = in_hand()
            device = getattr(record, "host", None) or (piece and piece.host)
            log.add(PendingLine(record.created, record.levelname, record.name, str(device) if device else None, text))
        except Exception:  # noqa: BLE001  as logging's own handlers: arguments that do not fit, or cannot be shown
            self.handleError(record)


def _log_of_this_thread() -> JobLog | None:
    """The log of this thread's own body; otherwise the only log there is, if there is just one."""
    logs = list(_logs.values())  # in one go: a run may end meanwhile
    return _logs.get(threading.get_ident()) or (logs[0] if len(logs) == 1 else None)


_formatter: Final = logging.Formatter()
_handler: Final = _Handler()
_counting = threading.Lock()


class kept_in(AbstractContextManager[None]):  # noqa: N801  used like a function, which would take twice as long
    """Inside, what this thread and the body's other threads log is kept."""

    def __init__(self, log: JobLog) -> None:
        self._log = log

    def __enter__(self) -> None:
        with _counting:
            _logs[threading.get_ident()] = self._log
            _listen()

    def __exit__(self, *_: object) -> None:
        with _counting:
            del _logs[threading.get_ident()]
        self._log.close()


def _listen() -> None:
    """Below the root's level loggers make no lines at all, so it is lowered; the root's other handlers get no more."""
    root = logging.root
    level = logging.getLevelNamesMapping()[conf.job_log_level]
    _handler.setLevel(level)
    root.addHandler(_handler)  # no effect if it is there; reconfiguring logging removes it
    if level < root.level:
        for handler in root.handlers:
            if handler is not _handler:
                handler.setLevel(max(handler.level, root.level))
        root.setLevel(level)
