"""Databases that would lose text or sessions are refused, with a reason, at migrate, check and start."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from cnaasjobs.conf import WrongSettings
from cnaasjobs.db import session
from cnaasjobs.db.suitable import unsuitable
from cnaasjobs.run.prepare import prepare
from tests.services import PgBouncer, PostgreSQL, RabbitMQ, scratch_directory
from tests.services.processes import Platform
from tests.services.program import run_program
from tests.switching import on_database

pytestmark = pytest.mark.needs("postgresql")

Pooler = Callable[..., PgBouncer]


def found(url: str) -> list[str]:
    with on_database(url):
        return [*unsuitable(connection)]


@pytest.fixture
def encoded(postgresql: PostgreSQL) -> Iterator[Callable[[str], str]]:
    """Makes a database of this encoding; its URL."""
    made = []

    def make(encoding: str) -> str:
        made.append(f"as_{encoding.lower()}")
        options = f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        postgresql.execute(f'CREATE DATABASE "{made[-1]}" {options}', database="postgres")
        return postgresql.database_url(made[-1])

    yield make
    for name in made:
        postgresql.drop_database(name)


@pytest.fixture
def pooler(postgresql: PostgreSQL) -> Iterator[Pooler]:
    """Starts a PgBouncer with these settings in front of the test's database."""
    started = []

    def start(**settings: str) -> PgBouncer:
        started.append(PgBouncer(scratch_directory("pgbouncer"), server=postgresql, settings=settings).start())
        return started[-1]

    yield start
    for one in started:
        one.kill()
        shutil.rmtree(one.directory, ignore_errors=True)


def test_utf_8_and_no_pooler_are_fine(postgresql: PostgreSQL) -> None:
    assert found(postgresql.url) == []


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_another_encoding_is_named(encoded: Callable[[str], str], encoding: str) -> None:
    url = encoded(encoding)
    (problem,) = found(url)
    assert problem.startswith(f"The database's encoding is {encoding}: it must be UTF8")
    with on_database(url), pytest.raises(WrongSettings, match="it must be UTF8"):
        prepare(with_token=False)  # as make run does


@pytest.mark.needs("pgbouncer")
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"pool_mode": "transaction"}, id="the last session is the next"),
        pytest.param({"pool_mode": "transaction", "server_round_robin": "1", "min_pool_size": "5"}, id="in turn"),
        pytest.param({"pool_mode": "transaction", "default_pool_size": "1"}, id="one session"),
        pytest.param({"pool_mode": "statement"}, id="statement"),
    ],
)
def test_sessions_that_a_pooler_shares_are_noticed(pooler: Pooler, settings: dict[str, str]) -> None:
    (problem,) = found(pooler(**settings).url)
    assert "behind a pooler in transaction or statement mode" in problem
    assert "pool_mode = session" in problem


@pytest.mark.needs("pgbouncer")
@pytest.mark.parametrize("size", ["20", "3", "1"])
def test_a_session_for_each_connection_is_fine(pooler: Pooler, size: str) -> None:
    """Also with fewer sessions than we ask for: the others wait, as any new connection would."""
    assert found(pooler(pool_mode="session", default_pool_size=size).url) == []


@pytest.mark.needs("pgbouncer")
def test_the_server_process_behind_a_pooler_is_the_real_one(pooler: Pooler) -> None:
    """PgBouncer makes one up, and asking whether that process still runs would say that it has ended."""
    with on_database(pooler(pool_mode="session").url):
        assert session.is_server_process(session.server_process())


def refused_by_all(platform: Platform, problem: str) -> None:
    for arguments in (["migrate"], ["check", "--database", "default"]):
        done = run_program("manage.py", *arguments, env=platform.env)
        assert (done.returncode, problem in done.stderr) == (1, True), done.stderr
        assert "Traceback" not in done.stderr
    for process in (platform.worker(wait=False), platform.beat(wait=False), platform.web(wait=False)):
        assert process.wait() != 0
        assert problem in process.output()
        assert "Traceback" not in process.output()


@pytest.mark.parametrize("command", [["migrate"], ["check", "--database", "default"]])
def test_a_database_that_does_not_answer_is_one_line(scratch: Path, command: list[str]) -> None:
    nowhere = {"CNAASJOBS_DEV": "1", "CNAASJOBS_STATE_DIR": str(scratch), "DATABASE_URL": "postgres://u@127.0.0.1:1/n"}
    done = run_program("manage.py", *command, env={**os.environ, **nowhere})
    assert done.returncode == 1
    assert "The database does not answer: connection to server at" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.needs("rabbitmq")
def test_a_database_of_another_encoding_is_refused_everywhere(
    encoded: Callable[[str], str], rabbitmq: RabbitMQ, platform: Platform
) -> None:
    platform.env["DATABASE_URL"] = encoded("SQL_ASCII")
    refused_by_all(platform, "The database's encoding is SQL_ASCII")


@pytest.mark.needs("pgbouncer", "rabbitmq")
def test_a_pooler_in_transaction_mode_is_refused_everywhere(
    pooler: Pooler, rabbitmq: RabbitMQ, platform: Platform
) -> None:
    platform.env["DATABASE_URL"] = pooler(pool_mode="transaction").url
    refused_by_all(platform, "behind a pooler in transaction or statement mode")
