"""What clients send that makes no sense: counted, and told in one line of the log now and then.

Anybody may send it, as often as they like, so no piece of it is worth a line of its own, nor a traceback: the libraries
write one for each.
"""

import logging
from collections import Counter
from typing import Any, Final

from cnaasjobs.events import record
from cnaasjobs.live.actions import LiveAction

_seen: Final[Counter[str]] = Counter()
_mistakes: Final[set[type[Exception]]] = set()  # that were logged since the last time


def note(what: str) -> None:
    _seen[what] += 1


def note_mistake(exc: Exception) -> None:
    """One of ours: each kind is worth a traceback, but whoever found one may repeat it."""
    if type(exc) in _mistakes:
        note("mistake")
    else:
        _mistakes.add(type(exc))
        record(LiveAction.HANDLER_FAILED, exc=exc)


def tell() -> None:
    """Of all since the last time, if there was any."""
    _mistakes.clear()
    if _seen:
        kinds = dict(sorted(_seen.items()))
        _seen.clear()
        record(LiveAction.NONSENSE, count=sum(kinds.values()), kinds=kinds)


class Noted(logging.Logger):
    """For a library that logs what its clients do wrong, and nothing else that is worth a line."""

    def __init__(self, what: str) -> None:
        super().__init__(what, logging.ERROR)

    def handle(self, record: logging.LogRecord) -> None:
        note(self.name)


class NoWarnings(logging.LoggerAdapter[logging.Logger]):
    """For uvicorn's connections, which warn of each request that is none, and have more to say."""

    level = logging.WARNING

    def warning(self, *_: Any, **__: Any) -> None:
        note("request")
