"""Counts the invalid requests, packets and messages that clients send, and logs the counts in one line now and then.

Anybody can send them as often as they like, so none of them gets a log line or a traceback of its own, as it would from
the libraries.
"""

import logging
from collections import Counter
from typing import Any, Final

from cnaasjobs.events import record
from cnaasjobs.live.actions import LiveAction

_seen: Final[Counter[str]] = Counter()
_mistakes: Final[set[type[Exception]]] = set()  # kinds of our own mistakes, logged since the last ``tell``


def note(what: str) -> None:
    """Count one of this kind: a request, a packet, a frame, a message."""
    _seen[what] += 1


def note_mistake(exc: Exception) -> None:
    """Log a bug of ours that a client has hit, with its traceback. Until ``tell``, each kind is logged only once."""
    if type(exc) in _mistakes:
        note("mistake")
    else:
        _mistakes.add(type(exc))
        record(LiveAction.HANDLER_FAILED, exc=exc)


def tell() -> None:
    """Log what was counted since the last call, if anything was."""
    _mistakes.clear()
    if _seen:
        kinds = dict(sorted(_seen.items()))
        _seen.clear()
        record(LiveAction.NONSENSE, count=sum(kinds.values()), kinds=kinds)


class Noted(logging.Logger):
    """A logger for a library that only logs what its clients do wrong: it counts the lines."""

    def __init__(self, what: str) -> None:
        super().__init__(what, logging.ERROR)

    def handle(self, record: logging.LogRecord) -> None:
        note(self.name)


class NoWarnings(logging.LoggerAdapter[logging.Logger]):
    """A logger for uvicorn's connections: it drops the warnings about each invalid request, and passes on the rest."""

    level = logging.WARNING

    def warning(self, *_: Any, **__: Any) -> None:
        note("request")
