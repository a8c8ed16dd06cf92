"""Waiting in tests: for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], *, timeout: float = 10.0, interval: float = 0.02, message: str | Callable[[], str] = ""
) -> T:
    """Calls ``condition`` every ``interval`` seconds until it is true and returns what it returned.

    Raises AssertionError after ``timeout`` seconds, with ``message`` (a callable is asked then, for its state then).
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            text = message() if callable(message) else message
            raise AssertionError(f"not within {timeout:g} s: {text or condition}")
        time.sleep(interval)


def stays(condition: Callable[[], object], *, seconds: float, interval: float = 0.05, message: str = "") -> None:
    """Raises AssertionError as soon as ``condition`` is false within the next ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            raise AssertionError(message or f"ended within {seconds:g} s: {condition}")
        time.sleep(interval)
