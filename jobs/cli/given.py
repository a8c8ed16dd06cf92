"""What a person types after a verb, as argparse's types."""

import json
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from cnaasjobs.api.times import parse_time
from cnaasjobs.nesting import TOO_DEEP, is_too_deep
from jobs.errors import JobArgumentError
from jobs.search.qualifiers import id_of

_MOST: Final = 1000  # jobs of a list


def job_id(text: str) -> int:
    number = id_of(text)
    if not number:
        raise ArgumentTypeError(f"{text!r} is not the id of a job")
    return number


def seconds(text: str) -> float:
    """Parses a time limit. Not "nan" or "inf": such a wait would never end."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def how_many(text: str) -> int:
    number = id_of(text)
    if not number or number > _MOST:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST}")
    return number


def moment(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r} {exc}") from exc


def named_text(text: str) -> tuple[str, str]:
    """``name=value``"""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError(f"{text!r} is not name=value")
    return name, value


def value_of(text: str, *, why_not: Callable[[Any], str | None]) -> Any:
    """It is JSON, and text where it is none, or where only the text is allowed: version 4.30 is not the number 4.3.

    Raises:
        JobArgumentError: it is JSON, and cannot be read.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    except RecursionError as exc:
        raise JobArgumentError(f"{text:.20}… is {TOO_DEEP}") from exc
    if is_too_deep(value):
        return value  # which is refused
    return text if why_not(value) and not why_not(text) else value
