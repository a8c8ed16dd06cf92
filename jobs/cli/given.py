"""What a person types after a verb, as argparse's types."""

import json
from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from cnaasjobs.api.times import parse_time


def moment(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r} {exc}") from exc


def named_value(text: str) -> tuple[str, Any]:
    """``name=value``; the value is JSON, and text where it is none."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError(f"{text!r} is not name=value")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value
