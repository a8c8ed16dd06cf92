"""Waiting in tests: for a condition, never for a time. And how long something took, on a machine that may be busy."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
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


def settles(condition: Callable[[], object], *, seconds: float) -> None:
    """It becomes true, and is then for ``seconds``: of what another process may still be about to do."""
    wait_until(condition)
    stays(condition, seconds=seconds)


@contextmanager
def takes_less_than(seconds: float, pids: Sequence[int] = ()) -> Iterator[None]:
    """What is done inside takes less than ``seconds``, in this process and in ``pids``.

    The time does not count for which their threads were ready to run and the machine gave them no processor. (Where the
    system does not tell that, as outside Linux, it counts.)
    """
    began, had_none = time.monotonic(), _without_processor(pids)
    yield
    took = time.monotonic() - began
    waited = _without_processor(pids) - had_none
    assert took - waited < seconds, f"{took:.2f} s, {waited:.2f} s of them without a processor"


def _without_processor(pids: Sequence[int]) -> float:
    """Seconds, of all threads together."""
    found = 0
    for pid in [os.getpid(), *pids]:
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # it has ended
                found += int(thread.read_text().split()[1])
    return found / 1e9
