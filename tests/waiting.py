"""Waiting in tests: for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_INTERVAL, _LONGEST_INTERVAL = 0.02, 0.1
_SLOWER = 1.1


def wait_until(
    condition: Callable[[], T],
    *,
    timeout: float = 10.0,
    interval: float | None = None,
    message: str | Callable[[], str] = "",
) -> T:
    """Calls ``condition`` until it is true and returns what it returned.

    It is called every ``interval`` seconds; by default often at first and gradually less often, because each call costs
    time that other tests need. Raises AssertionError after ``timeout`` seconds, with ``message`` (a callable is called
    then).
    """
    deadline, pause = time.monotonic() + timeout, interval or _FIRST_INTERVAL
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            text = message() if callable(message) else message
            raise AssertionError(f"not within {timeout:g} s: {text or condition}")
        time.sleep(pause)
        if interval is None:
            pause = min(_SLOWER * pause, _LONGEST_INTERVAL)


def stays(condition: Callable[[], object], *, seconds: float, interval: float = 0.05, message: str = "") -> None:
    """Raises AssertionError as soon as ``condition`` is false within the next ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            raise AssertionError(message or f"ended within {seconds:g} s: {condition}")
        time.sleep(interval)
