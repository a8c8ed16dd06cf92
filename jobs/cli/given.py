"""What a person types after a verb, as argparse's types."""

import json
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cnaasjobs.api.times import parse_time


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
    """It is JSON, and text where it is none, or where only the text is allowed: version 4.30 is not the number 4.3."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if why_not(value) and not why_not(text) else value
