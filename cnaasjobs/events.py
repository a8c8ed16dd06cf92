"""What happened, recorded once: ``record`` tells every subscriber, and the log is one of them.

Each app lists in its ``actions`` module what can happen in it, and docs/log-events.md says what each action means. An
event is an action with its fields. A subscriber is called in the thread of the event, in the path of every job: it must
be quick and must not use the database, and what it raises is not passed on.
"""

import logging
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Self


class Action(StrEnum):
    """Base of the apps' lists.

    A member has a name, a level, a message, and the fields that the message does not contain.
    """

    level: int
    words: str
    fields: tuple[str, ...]
    logger: logging.Logger

    def __new__(cls, name: str, level: int, words: str, more_fields: str = "") -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.level = level
        member.words = words
        member.fields = (*re.findall(r"%\((\w+)\)", words), *more_fields.split())
        member.logger = logging.getLogger(cls.__module__.partition(".")[0])
        return member


class Event(NamedTuple):
    action: Action
    fields: Mapping[str, Any]
    exc: BaseException | None = None  # with a traceback, where that says more than the fields


Subscriber = Callable[[Event], None]


def record(
    action: Action, fields: Mapping[str, Any] | None = None, /, *, exc: BaseException | None = None, **more_fields: Any
) -> None:
    """Tell every subscriber that this happened. If it is stored, call this after its commit: it can't be taken back.

    Fields whose names are keywords of Python ("from") are given as a mapping.
    """
    event = Event(action, {**fields, **more_fields} if fields else more_fields, exc)
    for tell in _subscribers:
        try:
            tell(event)
        except Exception:  # a subscriber must neither undo nor end what happened
            action.logger.exception("a subscriber failed at %s", action, extra={"action": action})


def subscribe(subscriber: Subscriber) -> None:
    """Call it with every event of this process from now on."""
    _subscribers.append(subscriber)


def unsubscribe(subscriber: Subscriber) -> None:
    _subscribers.remove(subscriber)


def write_to_log(event: Event) -> None:
    """One line of the log, with ``action`` and the fields at its top level."""
    action, logger = event.action, event.action.logger
    if not logger.isEnabledFor(action.level):
        return
    fields = {"action": action, **event.fields}
    exc_info = None if event.exc is None else (type(event.exc), event.exc, event.exc.__traceback__)
    # Not by ``logger.log``, which walks up the stack to find its caller: that is always this function.
    line = logger.makeRecord(
        logger.name, action.level, __file__, 0, action.words, (fields,), exc_info, "write_to_log", fields
    )
    logger.handle(line)


_subscribers: list[Subscriber] = [write_to_log]
