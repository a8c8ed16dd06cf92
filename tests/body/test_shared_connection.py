"""The threads of a body share a connection, and its own thread lends them its own while it only coordinates them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, DataError, Error, OperationalError, connection, connections, transaction

from jobs.body.context import JobContext
from jobs.body.shared_connection import SharedConnection
from tests import fake_jobs
from tests.factory import claimed
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What it returned."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def drivers_connection() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return connection.connection


def test_threads_use_the_lent_connection_and_no_other_is_opened() -> None:
    shared = SharedConnection()

    def used() -> Any:
        with shared.use():
            return drivers_connection()

    with shared.use():
        own = drivers_connection()
    with shared.lent():
        assert in_a_thread(used) is own
        assert used() is own
        assert shared._shared is None
    assert not connection.allow_thread_sharing
    try:
        assert in_a_thread(used) is not own  # the body goes on, and may use its own without asking
        assert in_a_thread(used) is in_a_thread(used)
        assert used() is own
    finally:
        shared.close()
    assert drivers_connection() is own


def test_of_two_connections_a_thread_takes_the_free_one_and_keeps_it_until_it_is_done() -> None:
    shared = SharedConnection()
    with shared.use():
        own = drivers_connection()

    def used() -> Any:
        with shared.use():
            return drivers_connection()

    try:
        with shared.both():
            wait_until(lambda: shared._shared is not None and shared._shared.connection is not None)
            with shared._mutex:  # the thread that opened it is done
                pass
            theirs = in_a_thread(used)
            assert theirs is not own
            may_end, is_in = threading.Event(), threading.Event()

            def stays_in() -> None:
                with shared.use():
                    is_in.set()
                    assert may_end.wait(30)

            thread = threading.Thread(target=stays_in)
            thread.start()
            assert is_in.wait(30)

            def freed_meanwhile() -> tuple[Any, Any]:
                with shared.use():
                    outer = drivers_connection()
                    may_end.set()
                    thread.join()
                    return outer, used()  # the other one is free again, but a transaction may be open on this

            assert in_a_thread(freed_meanwhile) == (own, own)
        assert in_a_thread(used) is theirs  # the body goes on
    finally:
        shared.close()


def test_a_thread_goes_on_with_its_connection_though_the_body_lends_its_own_meanwhile() -> None:
    """A transaction may be open on it."""
    shared = SharedConnection()
    is_in, is_lent = threading.Event(), threading.Event()

    def nested() -> tuple[Any, Any]:
        with shared.use():
            outer = drivers_connection()
            is_in.set()
            assert is_lent.wait(30)
            with shared.use():
                return outer, drivers_connection()

    try:
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(nested)
            assert is_in.wait(30)
            with shared.lent():
                is_lent.set()
                outer, inner = found.result(30)
        assert inner is outer
    finally:
        shared.close()


def test_it_is_opened_before_a_thread_needs_it_and_not_after_the_end() -> None:
    shared = SharedConnection()
    try:
        with shared.opened():
            wait_until(lambda: shared._shared is not None and shared._shared.connection is not None)
            opened = shared._shared and shared._shared.connection

            def used() -> Any:
                with shared.use():
                    return drivers_connection()

            assert in_a_thread(used) is opened
            assert used() is not opened
        theirs = shared._shared
    finally:
        shared.close()
    assert theirs is not None
    assert theirs.connection is None
    shared._open()  # its thread comes late: the job ended at once
    assert shared._shared is None


def test_it_is_opened_once_though_a_thread_needs_it_meanwhile() -> None:
    shared = SharedConnection()
    try:
        with shared._mutex:  # as a thread that is about to use it
            with shared.opened():
                stays(lambda: shared._shared is None, seconds=0.2)
                (opens,) = [thread for thread in threading.enumerate() if thread.name == "opens-database"]
                assert opens.daemon  # the end of a job does not wait for a database that is away
            needed = shared._of_threads()
        wait_until(lambda: needed.connection is not None)
        assert shared._shared is needed
    finally:
        shared.close()


def test_one_that_cannot_be_opened_is_tried_again_by_the_thread_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedConnection()
    asked = threading.Event()

    def away(*_: Any) -> None:
        asked.set()
        raise OperationalError("the database is away")

    def used() -> Any:
        with shared.use():
            return drivers_connection()

    try:
        with monkeypatch.context() as patch:
            patch.setattr(type(connections[DEFAULT_DB_ALIAS]), "ensure_connection", away)
            with shared.opened():
                assert asked.wait(30)
        assert in_a_thread(used) is not None
    finally:
        shared.close()


def test_whoever_waits_for_the_lent_one_gets_it_or_theirs_if_it_was_given_back() -> None:
    shared = SharedConnection()

    def used() -> tuple[Any, bool]:
        with shared.use():
            return drivers_connection(), shared._mutex._is_owned()  # type: ignore[attr-defined]

    try:
        with ThreadPoolExecutor(1) as pool:
            with shared.lent():
                with shared._lent_mutex:  # as a thread that uses it
                    waits = pool.submit(used)
                    stays(lambda: not waits.done(), seconds=0.1)
                assert waits.result(30) == (drivers_connection(), False)
                assert shared._shared is None
                shared._lent_mutex.acquire()
                waits = pool.submit(used)
                stays(lambda: not waits.done(), seconds=0.1)
            shared._lent_mutex.release()
            assert waits.result(30)[1]
        assert shared._lent_mutex.acquire(timeout=10)
    finally:
        shared.close()


def test_a_write_that_comes_late_opens_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = JobContext(claimed(fake_jobs.nothing.schedule()))
    close = ctx._connection.close

    def then_writes() -> None:
        close()
        in_a_thread(ctx.finished_devices.flush)

    monkeypatch.setattr(ctx._connection, "close", then_writes)
    ctx.close()
    assert ctx._connection._shared is None


@pytest.mark.parametrize("somewhere", [in_a_thread, lambda work: work()], ids=["a thread", "the body's own"])
def test_one_that_failed_is_opened_anew_unless_a_transaction_is_open(somewhere: Callable[..., Any]) -> None:
    shared = SharedConnection()

    def used(raises: Error | None = None) -> Any:
        found = None
        with suppress(Error), shared.use():
            found = drivers_connection()
            if raises is not None:
                raise raises
        return found

    def stays_in_a_transaction() -> bool:
        with shared.use(), transaction.atomic():
            return used(OperationalError("it is away")) is drivers_connection()

    try:
        first = somewhere(used)
        assert somewhere(lambda: used(DataError("it is too long"))) is first
        assert somewhere(stays_in_a_transaction)
        assert somewhere(lambda: used(OperationalError("it is away"))) is first
        assert somewhere(used) is not first
    finally:
        shared.close()


def test_a_thread_has_afterwards_what_it_had_before() -> None:
    """Else it would go on with the shared one beside the thread whose turn it is."""
    shared = SharedConnection()

    def failed() -> list[Any]:
        with suppress(Error), shared.use():
            raise OperationalError("it is away")
        return list(connections.all(initialized_only=True))

    def has_its_own() -> bool:
        own = drivers_connection()
        with shared.use():
            assert drivers_connection() is not own
        is_back = drivers_connection() is own
        connection.close()
        return is_back

    assert in_a_thread(failed) == []
    assert in_a_thread(has_its_own)
    shared.close()


@pytest.mark.parametrize("asks", [True, False])
def test_a_lent_connection_is_used_by_one_at_a_time_and_given_back_when_it_is_free(asks: bool) -> None:
    """Else the body could find itself in the middle of a thread's transaction."""
    may_end, is_in = threading.Event(), threading.Event()
    happened: list[str] = []

    def threads_part(shared: SharedConnection) -> None:
        with shared.use(), transaction.atomic():
            is_in.set()
            assert may_end.wait(30)
            happened.append("the thread's transaction")

    def bodys_part() -> None:
        shared = SharedConnection()
        thread = threading.Thread(target=threads_part, args=[shared])
        with shared.lent():
            thread.start()
            assert is_in.wait(30)
            if asks:
                with shared.use():
                    happened.append("the body's own")
        happened.append("given back")
        thread.join()
        connection.close()

    body = threading.Thread(target=bodys_part)
    body.start()
    assert is_in.wait(30)
    stays(lambda: not happened, seconds=0.3)
    may_end.set()
    body.join()
    assert happened == ["the thread's transaction", *(["the body's own"] if asks else []), "given back"]
