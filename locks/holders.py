"""What locks needs to know about holders, and to tell them.

The app that takes locks registers one provider; locks imports no app.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class HolderState:
    """A holder as the API and the admin show it."""

    status: str
    running: bool
    abort: bool  # it was asked to stop
    title: str = ""  # its name in words
    url: str | None = None  # its page in the admin


class HolderProvider(Protocol):
    """Implemented by the app whose objects hold locks."""

    def describe(self, holder_ids: Collection[int]) -> Mapping[int, HolderState]:
        """States of the holders that exist; one query."""

    def waiting(self, lock_names: Collection[str], *, at_most: int) -> Mapping[str, int]:
        """How many are in line for each lock, counted up to ``at_most``; a lock without a line may be missing."""

    def wake(self, lock_name: str) -> None:
        """The lock is free: start the first in line. Called after the commit."""

    def cleared(self, lock_name: str, *, holder_id: int, who: str, origin: str) -> None:
        """A person cleared the lock. Called in the transaction that does it."""

    def refuses(self, user: Any, holder_id: Callable[[], int | None]) -> str | None:
        """Why this user, who has the permission to clear locks, may not clear the one of this holder; None: they may.

        The holder is asked for only if that depends on it, and is None if there is none.
        """


class NoHolders:
    """The provider while no app has registered one: locks by themselves."""

    def describe(self, holder_ids: Collection[int]) -> Mapping[int, HolderState]:
        return {}

    def waiting(self, lock_names: Collection[str], *, at_most: int) -> Mapping[str, int]:
        return {}

    def wake(self, lock_name: str) -> None:
        return None

    def cleared(self, lock_name: str, *, holder_id: int, who: str, origin: str) -> None:
        return None

    def refuses(self, user: Any, holder_id: Callable[[], int | None]) -> str | None:
        return None


_provider: HolderProvider = NoHolders()


def register(provider: HolderProvider) -> None:
    """Make ``provider`` the one that locks asks."""
    global _provider
    _provider = provider


def provider() -> HolderProvider:
    return _provider
