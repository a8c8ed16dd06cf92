"""What is kept to recognise a configuration: keyed hashes, never its text."""

import hmac
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from django.conf import settings
from django.utils.crypto import constant_time_compare
from django.utils.encoding import force_bytes

from cnaasjobs.conf import conf

MAX_UNSTABLE_LINES: Final = 1000
_SALT: Final = "devices.state"
_COMMENTS: Final = re.compile(r"\n[ \t]*[!#][^\n]*")


def digest(text: str, *, key: str | None = None) -> str:
    """A keyed hash: a plain one would let a reader of the database try out weak secrets."""
    raw = text.encode("utf-8", "surrogatepass")  # a device may send anything
    return hmac.digest(_derived(settings.SECRET_KEY if key is None else key), raw, "sha256").hex()


@lru_cache(maxsize=8)
def _derived(key: str) -> bytes:
    """The key that Django's ``salted_hmac`` would derive anew each time."""
    return sha256(force_bytes(_SALT) + force_bytes(key)).digest()


def matches(stored: str, text: str) -> bool:
    """Whether ``stored`` is the digest of this text, by the present key or one of Django's fallbacks."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(stored, digest(text, key=key)) for key in keys)


def essential(running: str, platform: str | None) -> str:
    """A running configuration without its comments, in which devices write the time of day, and without the lines that
    the setting declares irrelevant on this platform.
    """
    text = _COMMENTS.sub("", f"\n{running}").strip()
    left_out = conf.lines_left_out.get(platform or "")
    if left_out is None:
        return text
    return "\n".join(line for line in text.split("\n") if not left_out.search(line))


def same(first: str, second: str, *, unstable: Collection[int] = ()) -> bool:
    """Whether two readings (``essential``) show the same configuration."""
    return _less(first, unstable) == _less(second, unstable)


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """The fingerprint of a running configuration. If it is false, the configuration can't be recognised again."""

    running_hash: str = ""
    unstable: Sequence[int] = ()  # numbers of lines that differ each time they are shown; not in the hash

    @classmethod
    def of(cls, first: str | None, second: str | None) -> "Fingerprint":
        """Made from two readings (``essential``) of a device that nobody changed in between.

        Lines that differ nevertheless (salted secrets, counters) are left out. If that is more than half of them, or
        even the number of lines differs, the configuration can't be recognised.
        """
        if first is None or second is None:
            return cls()
        if first == second:
            return cls(running_hash=digest(second))
        lines, others = first.split("\n"), second.split("\n")
        unstable = [number for number, (one, other) in enumerate(zip(lines, others, strict=False)) if one != other]
        if len(lines) != len(others) or len(unstable) > min(len(lines) // 2, MAX_UNSTABLE_LINES):
            return cls()
        return cls(running_hash=digest(_less(second, unstable)), unstable=tuple(unstable))

    @classmethod
    def of_one(cls, running: str, unstable: Sequence[int]) -> "Fingerprint":
        """From one reading (``essential``) of a device of which these lines are known to differ by themselves."""
        return cls(running_hash=digest(_less(running, unstable)), unstable=tuple(unstable))

    def __bool__(self) -> bool:
        return bool(self.running_hash)

    def recognises(self, running: str) -> bool:
        return matches(self.running_hash, _less(running, self.unstable))


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known about one device."""

    rendered_hash: str = ""
    fingerprint: Fingerprint = Fingerprint()
    uncertain_job_id: int | None = None  # the job since which this may no longer hold
    changes: str = "[]"  # as they are stored

    def in_sync(self, rendered: str) -> bool:
        """Whether the rendered configuration is the one last committed, as far as is known."""
        return bool(self.rendered_hash) and self.uncertain_job_id is None and matches(self.rendered_hash, rendered)

    def differs(self, running: str | None) -> bool:
        """Whether the running configuration is not the one that our last commit left; False if that is unknown."""
        return running is not None and bool(self.fingerprint) and not self.fingerprint.recognises(running)


def _less(text: str, unstable: Collection[int]) -> str:
    if not unstable:
        return text
    lines = text.split("\n")
    for number in unstable:
        if number < len(lines):
            lines[number] = ""
    return "\n".join(lines)
