"""Which errors mean "not now" and which are mistakes, as the databases themselves raise them."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import Error, InterfaceError, OperationalError, connection, transaction
from django.db.utils import DatabaseErrorWrapper, load_backend

from cnaasjobs.db.not_now import connection_is_lost, not_now, outcome_is_unknown, takes_no_writes
from cnaasjobs.db.writable import takes_writes
from jobs.models import Job
from jobs.states import Status
from tests.factory import job_in
from tests.services import PostgreSQL
from tests.waiting import wait_until


def _raised(work: Callable[[], object]) -> Error:
    """Django's exception for what ``work`` meets."""
    with pytest.raises(Error) as raised:
        work()
    return raised.value


def _sql(*statements: str) -> Error:
    """What the last of these meets, on a new connection."""
    connection.close()

    def run() -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    exc = _raised(run)
    connection.close()
    return exc


_INSERT = "INSERT INTO locks_lock (name, fence) VALUES ('x', 0)"


@pytest.mark.needs("postgresql")
class TestPostgreSQL:
    def test_a_database_that_takes_no_writes(self, postgresql: PostgreSQL) -> None:
        exc = _sql("SET default_transaction_read_only = on", _INSERT)
        assert not_now(exc)
        assert takes_no_writes(exc)
        assert not outcome_is_unknown(exc)
        assert not connection_is_lost(exc)

    @pytest.mark.parametrize(
        "statements",
        [
            pytest.param(["SET statement_timeout = 50", "SELECT pg_sleep(5)"], id="a statement that takes too long"),
            pytest.param(["SELECT pg_terminate_backend(pg_backend_pid())"], id="a connection that was cut"),
        ],
    )
    def test_it_cannot_now(self, postgresql: PostgreSQL, statements: list[str]) -> None:
        exc = _sql(*statements)
        assert not_now(exc)
        assert not takes_no_writes(exc)

    def test_a_lock_that_others_hold(self, postgresql: PostgreSQL) -> None:
        other = postgresql.connect()
        other.cursor().execute("BEGIN; LOCK TABLE locks_lock")
        try:
            assert not_now(_sql("SET lock_timeout = 50", _INSERT))
        finally:
            other.close()

    def test_a_transaction_that_stood_idle(self, postgresql: PostgreSQL) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 50")

        def idle() -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                backend = cursor.fetchone()[0]
                alive = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
                wait_until(lambda: not postgresql.execute(alive, backend))
                cursor.execute("SELECT 1")

        exc = _raised(idle)
        assert not_now(exc)
        assert outcome_is_unknown(exc)
        assert connection_is_lost(exc)
        connection.close()

    def test_no_connection(self, postgresql: PostgreSQL) -> None:
        connection.close()
        postgresql.stop()
        exc = _raised(Job.objects.count)
        assert not_now(exc)
        assert outcome_is_unknown(exc)

    def test_a_connection_that_is_closed(self, postgresql: PostgreSQL) -> None:
        connection.ensure_connection()
        connection.connection.close()
        assert not_now(_raised(Job.objects.count))
        connection.close()

    def test_too_many_connections(self, postgresql: PostgreSQL) -> None:
        connection.close()
        with psycopg2.connect(postgresql.database_url("postgres").replace("postgres:", "postgresql:", 1)) as admin:
            admin.cursor().execute(f'ALTER DATABASE "{postgresql.database}" CONNECTION LIMIT 1')
        admin.close()
        postgresql.execute("CREATE ROLE guest LOGIN")
        held = postgresql.connect()
        try:
            with pytest.raises(psycopg2.OperationalError) as raised:
                psycopg2.connect(postgresql.url.replace("postgres://cnaasjobs", "postgresql://guest"))
            assert not_now(raised.value)
        finally:
            held.close()
            postgresql.execute("DROP ROLE guest")

    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param("SELECT * FROM of_another_version", id="no such table"),
            pytest.param("SELECT nothing FROM locks_lock", id="no such column"),
            pytest.param("SELEC 1", id="no statement"),
            pytest.param("SELECT repeat('x', 2000000000)", id="more than a value may hold"),
            pytest.param("SELECT 'x'::int", id="no number"),
            pytest.param("INSERT INTO locks_lock (name) VALUES (NULL)", id="a constraint"),
            pytest.param("EXECUTE gone", id="a prepared statement that is not there"),
        ],
    )
    def test_a_mistake(self, postgresql: PostgreSQL, statement: str) -> None:
        exc = _sql(statement)
        assert not not_now(exc)
        assert not takes_no_writes(exc)
        assert not outcome_is_unknown(exc)
        assert not connection_is_lost(exc)

    def test_it_says_itself_whether_it_takes_writes(self, postgresql: PostgreSQL) -> None:
        assert takes_writes()
        postgresql.execute(f'ALTER DATABASE "{postgresql.database}" SET default_transaction_read_only = on')
        connection.close()
        assert not takes_writes()


def _sqlite(path: Path, *statements: str, before: str = "") -> Any:
    """What the last of these meets, as Django raises it."""
    database = sqlite3.connect(path, timeout=0, isolation_level=None)
    wrapper = DatabaseErrorWrapper(load_backend("django.db.backends.sqlite3").DatabaseWrapper({"NAME": str(path)}))

    def run() -> None:
        with wrapper:
            for statement in statements:
                database.execute(statement)

    try:
        return _raised(run)
    finally:
        database.close()


class TestSQLite:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "x.sqlite3"
        with sqlite3.connect(path) as made:
            made.execute("CREATE TABLE t (x UNIQUE)")
        made.close()
        return path

    def test_another_writes(self, path: Path) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            exc = _sqlite(path, "BEGIN IMMEDIATE")
        finally:
            other.close()
        assert not_now(exc)
        assert not takes_no_writes(exc)

    def test_it_takes_no_writes(self, path: Path) -> None:
        exc = _sqlite(path, "PRAGMA query_only = on", "INSERT INTO t VALUES (1)")
        assert not_now(exc)
        assert takes_no_writes(exc)

    def test_its_disk_is_full(self, path: Path) -> None:
        exc = _sqlite(path, "PRAGMA max_page_count = 1", "INSERT INTO t VALUES (zeroblob(1000000))")
        assert not_now(exc)
        assert takes_no_writes(exc)

    @pytest.mark.parametrize("statement", ["SELECT * FROM nothing", "SELEC", "INSERT INTO t VALUES (1), (1)"])
    def test_a_mistake(self, path: Path, statement: str) -> None:
        exc = _sqlite(path, statement)
        assert not not_now(exc)
        assert not takes_no_writes(exc)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_works_says_that_it_takes_writes_and_goes_on() -> None:
    assert takes_writes()
    assert job_in(Status.FINISHED).status == "FINISHED"


def test_words_of_django_itself() -> None:
    assert not_now(InterfaceError("connection already closed"))
    assert connection_is_lost(InterfaceError("connection already closed"))
    assert not_now(OperationalError("the transaction must be repeated"))
    assert not not_now(ValueError())
    assert not not_now(ConnectionError())
