"""Limits failed attempts: wrong tokens and logins by address, and logins by name too.

Each web process counts for itself, over a moving window. A client that has reached a limit is answered before a hash is
computed or the database is asked; successes are never counted.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from cnaasjobs.api.actions import ApiAction
from cnaasjobs.events import record

TOKENS: Final = parse("30/minute")
LOGINS: Final = parse("20/minute")
LOGINS_OF_A_NAME: Final = parse("10/minute")
SIGN_INS: Final = parse("30/minute")  # at the identity provider; each that is begun is a row in the database
HASHES_AT_ONCE: Final = 2  # hashing a password takes a tenth of a second of a processor
_LOG_SECONDS: Final = 60.0

_windows = MovingWindowRateLimiter(MemoryStorage())
_hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)
_logged: dict[str, tuple[float, int]] = {}
_mutex = threading.Lock()
_good: set[str] = set()  # hashes of tokens
_MOST_GOOD: Final = 10_000


def forget() -> None:
    """Forget everything that was counted."""
    _windows.storage.reset()
    _logged.clear()
    _good.clear()


def note(digest: str, *, works: bool) -> None:
    """Note whether a token, given by its hash, worked when it was looked up."""
    if len(_good) > _MOST_GOOD:
        _good.clear()
    (_good.add if works else _good.discard)(digest)


def has_worked(digest: str) -> bool:
    """Whether the token worked when this process last saw it: its owner may share an address with a guesser."""
    return digest in _good


def exhausted(limit: RateLimitItem, *keys: str) -> bool:
    """Whether the limit of failures has been reached."""
    return not _windows.test(limit, *keys)


def count(limit: RateLimitItem, *keys: str) -> None:
    """Count one more failure, which has already been logged."""
    _windows.hit(limit, *keys)


def failed(kind: str, limit: RateLimitItem, *keys: str, address: str) -> None:
    """Count one more. The first is logged at once, the others once a minute for each address, with their number."""
    count(limit, *keys)
    now = time.monotonic()
    with _mutex:
        at, failures = _logged.get(f"{kind} {address}", (-_LOG_SECONDS, 0))
        failures += 1
        if now - at >= _LOG_SECONDS:
            record(ApiAction.CREDENTIALS_REFUSED, kind=kind, address=address, failures=failures)
            at, failures = now, 0
        if len(_logged) > 10_000:  # more addresses than anybody would read about
            _logged.clear()
        _logged[f"{kind} {address}"] = (at, failures)


def turned_away(request: Any) -> None:
    """Note that this login was refused before its password was looked at: Django will report it like any failed one."""
    if request is not None:
        request._was_turned_away = True


def was_turned_away(request: Any) -> bool:
    return bool(getattr(request, "_was_turned_away", False))


@contextmanager
def hashing() -> Iterator[bool]:
    """False when too many passwords are being checked at once: others need the processor too."""
    mine = _hashing.acquire(blocking=False)
    try:
        yield mine
    finally:
        if mine:
            _hashing.release()
