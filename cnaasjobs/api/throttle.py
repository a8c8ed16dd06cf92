"""How often somebody may be wrong: failed tokens and logins, by address and, for logins, by name.

Counted in each web process for itself, by a moving window. Whoever has reached a limit is answered before a hash is
computed or the database asked; what is right is never counted.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from cnaasjobs.api.actions import ApiAction
from cnaasjobs.events import record

TOKENS: Final = parse("30/minute")
LOGINS: Final = parse("20/minute")
LOGINS_OF_A_NAME: Final = parse("10/minute")
HASHES_AT_ONCE: Final = 2  # a password's hash takes a processor for a tenth of a second
_LOG_SECONDS: Final = 60.0

_windows = MovingWindowRateLimiter(MemoryStorage())
_hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)
_logged: dict[str, tuple[float, int]] = {}
_mutex = threading.Lock()


def forget() -> None:
    """All that was counted."""
    _windows.storage.reset()
    _logged.clear()


def exhausted(limit: RateLimitItem, *keys: str) -> bool:
    """There were as many failures as there may be."""
    return not _windows.test(limit, *keys)


def count(limit: RateLimitItem, *keys: str) -> None:
    """One more failure, which was said already."""
    _windows.hit(limit, *keys)


def failed(kind: str, limit: RateLimitItem, *keys: str, address: str) -> None:
    """One more. It is logged at once, then once a minute for each address, with how many there were."""
    count(limit, *keys)
    now = time.monotonic()
    with _mutex:
        at, failures = _logged.get(f"{kind} {address}", (-_LOG_SECONDS, 0))
        failures += 1
        if now - at >= _LOG_SECONDS:
            record(ApiAction.CREDENTIALS_REFUSED, kind=kind, address=address, failures=failures)
            at, failures = now, 0
        if len(_logged) > 10_000:  # more addresses than anybody reads of
            _logged.clear()
        _logged[f"{kind} {address}"] = (at, failures)


@contextmanager
def hashing() -> Iterator[bool]:
    """False when as many passwords are being tried as may be at once: others need the processor too."""
    mine = _hashing.acquire(blocking=False)
    try:
        yield mine
    finally:
        if mine:
            _hashing.release()
