"""The limits that our connections set on the server, as the server has them."""

import time

import pytest
from django.db import connection, transaction

from cnaasjobs.db import limits
from cnaasjobs.db.exclusive import exclusively
from jobs.background import faults
from tests.services import PostgreSQL
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql")


def _shown(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


def test_every_connection_is_given_up_when_its_host_is_gone(postgresql: PostgreSQL) -> None:
    for _ in range(2):
        asked = {name: _shown(name) for name in limits._EVERY_CONNECTION}
        assert asked == limits._EVERY_CONNECTION
        assert _shown("statement_timeout") == "0"
        connection.close()


def test_defaults_that_others_gave_the_database_do_not_count(postgresql: PostgreSQL) -> None:
    others = [
        "default_transaction_isolation = 'serializable'",
        "statement_timeout = '1s'",
        "idle_session_timeout = '1s'",
        "array_nulls = off",
        "transform_null_equals = on",
        "standard_conforming_strings = off",
    ]
    knows_transaction_timeout = connection.pg_version >= 170000  # type: ignore[attr-defined]
    if knows_transaction_timeout:
        others.append("transaction_timeout = '1s'")
    for other in others:
        postgresql.execute(f'ALTER DATABASE "{postgresql.database}" SET {other}')
    connection.close()
    assert postgresql.execute("SHOW transaction_isolation") == [("serializable",)]
    with transaction.atomic():
        assert _shown("transaction_isolation") == "read committed"
    assert (_shown("transaction_isolation"), _shown("statement_timeout")) == ("read committed", "0")
    assert _shown("idle_session_timeout") == "0"
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[], %s = NULL, %s", [[None], None, r"it's \n\\"])
        assert cursor.fetchone() == ([None], None, r"it's \n\\")
    assert not knows_transaction_timeout or _shown("transaction_timeout") == "0"


def test_a_process_may_ask_for_more_or_less(postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_of_this_process", {})
    limits.ask_in_this_process(idle_in_transaction_session_timeout="1s")
    connection.close()
    assert _shown("idle_in_transaction_session_timeout") == "1s"
    assert _shown("tcp_user_timeout") == "15000"


def test_a_thread_asks_once_for_each_connection(postgresql: PostgreSQL) -> None:
    for _ in range(2):
        limits.limit_this_thread(statement_timeout="15s")
        limits.limit_this_thread(statement_timeout="nonsense")
        assert _shown("statement_timeout") == "15s"
        connection.close()


def test_the_web_server_leaves_no_transaction_open(postgresql: PostgreSQL, platform: Platform) -> None:
    """One setting of the web's own stands beside those of all."""
    script = (
        "import cnaasjobs.wsgi; from django.db import connection; c = connection.cursor()\n"
        "for name in ('idle_in_transaction_session_timeout', 'tcp_keepalives_idle'):\n"
        "    c.execute('SHOW ' + name); print(name, *c.fetchone())"
    )
    output = platform.manage("shell", "--no-imports", "--command", script)
    assert "idle_in_transaction_session_timeout 1s\ntcp_keepalives_idle 10\n" in output


def test_a_thread_that_is_frozen_loses_its_advisory_lock(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_idle_seconds", lambda: 1)
    faults.bound_statements()
    frozen = exclusively("a step")
    assert frozen.__enter__()
    key = postgresql.execute("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'")
    assert len(key) == 1
    begun = time.monotonic()
    wait_until(lambda: not postgresql.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), timeout=20)
    assert time.monotonic() - begun > 0.5
    connection.close()
