"""Named locks by themselves: who holds one, under which token, and who is told when a person clears it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2.errors
import pytest
from django.db import OperationalError, connections, transaction

from locks import holders, service
from locks.holders import NoHolders
from locks.models import Lock
from tests.factory import hold_lock
from tests.services import PostgreSQL

pytestmark = pytest.mark.django_db(transaction=True)


class Told(NoHolders):
    """A provider that remembers what it was told, and whether a transaction was open then."""

    def __init__(self) -> None:
        self.words: list[tuple[Any, ...]] = []

    def wake(self, lock_name: str) -> None:
        self.words.append(("wake", lock_name, transaction.get_connection().in_atomic_block))

    def cleared(self, lock_name: str, *, holder_id: int, who: str, origin: str) -> None:
        self.words.append(("cleared", lock_name, holder_id, who, origin, transaction.get_connection().in_atomic_block))


@pytest.fixture
def told() -> Iterator[Told]:
    earlier, provider = holders.provider(), Told()
    holders.register(provider)
    yield provider
    holders.register(earlier)


def take(name: str, holder_id: int) -> None:
    hold_lock(name, holder_id, fence=1)


def held() -> dict[str, tuple[int | None, int]]:
    return {lock.name: (lock.holder_id, lock.fence) for lock in service.held()}


def test_a_lock_is_cleared_though_the_next_in_line_could_not_be_woken(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    take("devices", 7)

    def away(lock_name: str) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(told, "wake", away)
    assert service.clear("devices", who="ann", origin="here", user=None).holder_id == 7
    assert held() == {}


def test_locks_of_other_names_are_other_locks() -> None:
    take("devices", 7)
    take("other", 7)
    take("third", 8)
    assert service.release("devices", holder_id=7, fence=1)
    assert held() == {"other": (7, 1), "third": (8, 1)}
    assert service.clear("other", who="ann", origin="here", user=None).holder_id == 7
    assert held() == {"third": (8, 1)}


@pytest.mark.parametrize(("holder_id", "fence"), [(8, 1), (7, 2), (7, 0)])
def test_only_its_holder_by_its_token_keeps_or_frees_it(holder_id: int, fence: int) -> None:
    take("devices", 7)
    with transaction.atomic():
        assert not service.keep("devices", holder_id=holder_id, fence=fence)
        assert service.keep("devices", holder_id=7, fence=1)
        assert not service.keep("other", holder_id=7, fence=1)
    assert not service.is_held("devices", holder_id=holder_id, fence=fence)
    assert not service.is_held("devices", holder_id=7, fence=None)
    assert not service.is_held("other", holder_id=7, fence=1)
    assert service.is_held("devices", holder_id=7, fence=1)
    assert not service.release("devices", holder_id=holder_id, fence=fence)
    assert held() == {"devices": (7, 1)}
    assert service.release("devices", holder_id=7, fence=1)
    assert Lock.objects.filter(holder_id=None, start_time=None, fence=1).exists()
    assert not service.release("devices", holder_id=7, fence=1)


def test_those_held_are_listed_by_name() -> None:
    for number, name in enumerate(("west", "east", "north")):
        take(name, number)
    service.release("north", holder_id=2, fence=1)
    assert [lock.name for lock in service.held()] == ["east", "west"]


def test_clearing_tells_the_provider_within_the_transaction_and_wakes_after_it(told: Told) -> None:
    take("devices", 7)
    cleared = service.clear("devices", who="eva", origin="10.0.0.1", user=None)
    assert (cleared.name, cleared.holder_id) == ("devices", 7)
    assert told.words == [("cleared", "devices", 7, "eva", "10.0.0.1", True), ("wake", "devices", False)]
    assert held() == {}


def test_what_is_rolled_back_was_not_cleared_and_wakes_nobody(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    take("devices", 7)
    with transaction.atomic():
        service.clear("devices", who="eva", origin="10.0.0.1", user=None)
        transaction.set_rollback(True)
    assert held() == {"devices": (7, 1)}
    assert [word[0] for word in told.words] == ["cleared"]  # its own entry was rolled back as well
    assert not caplog.records


def test_by_a_token_only_the_holder_that_was_looked_at_is_cleared(told: Told) -> None:
    take("devices", 7)
    with pytest.raises(service.LockNotFound):
        service.clear("devices", who="eva", origin="10.0.0.1", user=None, fence=2)
    assert (held(), told.words) == ({"devices": (7, 1)}, [])
    service.clear("devices", who="eva", origin="10.0.0.1", user=None, fence=1)
    assert held() == {}


def test_a_lock_that_changed_hands_since_the_right_to_clear_it_was_looked_at_stays(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    take("devices", 7)

    def refuses(user: object, holder_id: Callable[[], int | None]) -> None:
        assert holder_id() == 7
        hold_lock("devices", 8, fence=2)

    monkeypatch.setattr(told, "refuses", refuses)
    with pytest.raises(service.LockNotFound):
        service.clear("devices", who="eva", origin="10.0.0.1", user=object())
    assert held() == {"devices": (8, 2)}


@pytest.mark.parametrize("name", ["devices", "nothing"])
def test_a_lock_that_nobody_holds_cannot_be_cleared(told: Told, name: str) -> None:
    take("devices", 7)
    service.release("devices", holder_id=7, fence=1)
    with pytest.raises(service.LockNotFound) as caught:
        service.clear(name, who="eva", origin="10.0.0.1", user=None)
    assert caught.value.name == name
    assert told.words == []


@pytest.mark.needs("postgresql")
def test_nobody_takes_away_what_a_transaction_keeps(postgresql: PostgreSQL) -> None:
    take("devices", 7)
    others = postgresql.connect(options="-c lock_timeout=200ms")
    freed = "UPDATE locks_lock SET holder_id = NULL, start_time = NULL WHERE name = 'devices'"
    with transaction.atomic():
        assert service.keep("devices", holder_id=7, fence=1)
        with others.cursor() as cursor, pytest.raises(psycopg2.errors.LockNotAvailable):
            cursor.execute(freed)
    with others.cursor() as cursor:
        cursor.execute(freed)
    others.close()


@pytest.mark.needs("postgresql")
def test_a_lock_that_is_freed_while_it_is_cleared_was_cleared_by_nobody(postgresql: PostgreSQL, told: Told) -> None:
    take("devices", 7)

    def clear() -> None:
        try:
            service.clear("devices", who="eva", origin="10.0.0.1", user=None)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert service.release("devices", holder_id=7, fence=1)
            cleared = pool.submit(clear)
            postgresql.until_blocked()
        assert isinstance(cleared.exception(10), service.LockNotFound)
    assert told.words == []


def test_without_a_provider_locks_stand_alone() -> None:
    earlier = holders.provider()
    holders.register(NoHolders())
    try:
        take("devices", 7)
        assert holders.provider().describe([7]) == {}
        assert holders.provider().waiting(["devices"], at_most=5) == {}
        service.clear("devices", who="eva", origin="10.0.0.1", user=None)
        assert held() == {}
    finally:
        holders.register(earlier)
