"""Where the provider's keys come from: a file, or its JWKS URL.

One thread fetches for all that wait. None of them waits longer than ``WAIT_SECONDS``, and whatever keys the JWTs name,
keys are fetched no more often than the cooldown allows. Keys that were read before are used while they are fetched
again, and while the provider is away.
"""

import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from cnaasjobs.events import record
from cnaasjobs.identity.actions import IdentityAction
from cnaasjobs.identity.fetching import WAIT_SECONDS, fetched
from cnaasjobs.identity.keys import Key, fitting, parsed

FRESH_SECONDS: Final = 300.0  # then the keys are fetched again, so that one the provider has withdrawn stops counting


class KeysAway(Exception):
    """The key of a JWT may exist, but can't be read now."""


class Keys(Protocol):
    def find(self, kid: str | None, algorithm: str) -> list[Key]:
        """The keys that can have signed a JWT with this header. Raises KeysAway."""


class Coming(NamedTuple):
    """Keys that are being fetched."""

    done: threading.Event
    until: float  # by the source's clock: nobody waits longer
    clock: Callable[[], float]

    @property
    def is_over(self) -> bool:
        return self.done.is_set() or self.clock() >= self.until

    def wait(self) -> None:
        self.done.wait(max(0.0, self.until - self.clock()))


class KeySource(Keys, Protocol):
    """Keys whose ``find`` may wait for the provider. Callers that must not wait ask ``coming`` first."""

    at_hand: Keys

    def coming(self, kid: str | None, algorithm: str) -> Coming | None:
        """What ``find`` would wait for; None: nothing."""


class FileKeys:
    """Keys in a file. It is read again when it has changed; while it can't be read, the keys stay as they were."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._keys: list[Key] = []
        self._said = ""
        self.at_hand: Keys = self

    def coming(self, kid: str | None, algorithm: str) -> None:
        return None

    def find(self, kid: str | None, algorithm: str) -> list[Key]:
        try:
            found = self._path.stat()
            if (seen := (found.st_mtime_ns, found.st_size)) != self._seen:
                self._keys, self._seen, self._said = parsed(self._path.read_bytes()), seen, ""
        except (OSError, ValueError) as exc:
            if self._said != (says := f"{self._path}: {exc}"):
                self._said = says
                record(IdentityAction.KEYS_UNREAD, error=says)
            if not self._keys:
                raise KeysAway from exc
        return fitting(self._keys, kid, algorithm)


class _AtHand:
    """The keys that were read before; finding them takes no waiting."""

    def __init__(self, source: "UrlKeys") -> None:
        self._source = source

    def find(self, kid: str | None, algorithm: str) -> list[Key]:
        return self._source.known(kid, algorithm)


class UrlKeys:
    def __init__(
        self,
        url: str,
        cooldown: float,
        *,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._cooldown = cooldown
        self._fetch = fetch or fetched
        self._clock = clock
        self._mutex = threading.Lock()
        self._began = -float("inf")
        self._done = threading.Event()
        self._done.set()
        self._keys: list[Key] = []
        self._read = -float("inf")
        self._failed = False
        self.at_hand: Keys = _AtHand(self)

    def find(self, kid: str | None, algorithm: str) -> list[Key]:
        if coming := self.coming(kid, algorithm):
            coming.wait()
        return self.known(kid, algorithm)

    def coming(self, kid: str | None, algorithm: str) -> Coming | None:
        if not fitting(self._keys, kid, algorithm):
            return self._begin()
        if self._clock() - self._read >= FRESH_SECONDS:
            self._begin()
        return None

    def known(self, kid: str | None, algorithm: str) -> list[Key]:
        """Raises KeysAway."""
        found = fitting(self._keys, kid, algorithm)
        if not found and (self._failed or not self._done.is_set()):
            raise KeysAway
        return found

    def _begin(self) -> Coming:
        """The fetch in progress, or the last one. If the cooldown is over, a new one is begun."""
        with self._mutex:
            now = self._clock()
            if now - self._began >= self._cooldown:
                self._began, self._done = now, threading.Event()
                name = "identity-keys"
                threading.Thread(target=self._run, args=(self._done, now), name=name, daemon=True).start()
            return Coming(self._done, self._began + WAIT_SECONDS, self._clock)

    def _run(self, done: threading.Event, began: float) -> None:
        try:
            keys = parsed(self._fetch(self._url))
        except (OSError, ValueError, HTTPException) as exc:
            record(IdentityAction.KEYS_UNREAD, error=f"{self._url}: {exc}")
            self._note(began)
        else:
            self._note(began, keys)
            record(IdentityAction.KEYS_READ, keys=len(keys))
        finally:
            done.set()

    def _note(self, began: float, keys: list[Key] | None = None) -> None:
        """Keep what a fetch returned; None: it failed. A fetch during which a later one was begun is ignored."""
        with self._mutex:
            if began == self._began:
                self._failed = keys is None
                if keys is not None:
                    self._keys, self._read = keys, began
