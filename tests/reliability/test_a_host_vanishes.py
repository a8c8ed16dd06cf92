"""A host that vanishes in the middle of a transaction blocks nothing for long: neither its own job nor any other."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from cnaasjobs.db.exclusive import exclusively
from jobs.dispatch.scheduling import schedule
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import hold_row, until_other_lock
from tests.migrated import migrated_cluster
from tests.reliability.conftest import Fleet, ended, finished
from tests.reliability.scale import within
from tests.services import PostgreSQL, RabbitMQ
from tests.services.namespace import Namespace
from tests.services.processes import Platform
from tests.services.relay import Relay
from tests.switching import on_database
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")

RESCUE_SECONDS = 60.0
SERVER_SECONDS = 40.0  # the server's limits: 25 s for one that is gone, 20 s for a transaction; not divided


@dataclass
class Host:
    """Where the processes that will vanish run."""

    env: dict[str, str]
    prefix: list[str]
    go: Callable[[], None]


@pytest.fixture
def vanishing(
    rabbitmq: RabbitMQ, scratch: Path, run_directory: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[PostgreSQL, Host]]:
    """A database and a host that can vanish from its network."""
    settings = {**PostgreSQL.fast, "listen_addresses": "*"}
    server = PostgreSQL(scratch / "postgresql", settings=settings)
    server.directory.mkdir()
    server.begin_with(migrated_cluster(run_directory, django_db_blocker))
    server.database = "kept"
    with Namespace() as host, server:
        with (server.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {host.there}/32 trust\n")
        server.reload()
        with django_db_blocker.unblock(), on_database(server.url), Relay(rabbitmq.port, address=host.here) as relay:
            there = {
                "DATABASE_URL": server.url.replace("127.0.0.1", host.here),
                "CELERY_BROKER_URL": relay.url(rabbitmq.url),
            }
            yield server, Host(there, host.prefix, host.vanish)


@pytest.fixture
def fleet_beside(vanishing: tuple[PostgreSQL, Host], rabbitmq: RabbitMQ, scratch: Path) -> Iterator[Fleet]:
    platform = Platform(database_url=vanishing[0].url, broker_url=rabbitmq.url, directory=scratch)
    try:
        yield Fleet(platform, scratch)
    finally:
        platform.kill()


def _both_are_rescued(fleet: Fleet, host: Host) -> None:
    fleet.beat()
    fleet.platform.worker("gone", env=host.env, prefix=host.prefix, queues=["gone"])
    other = fleet.platform.worker("other")
    in_transaction = schedule(hold_row, {"lock": "devices", "path": str(fleet.directory / "never")}, queue="gone")
    unrelated = schedule(until_other_lock, {"path": str(fleet.directory / "never")})
    fleet.wait_for(Event.GO, in_transaction)
    fleet.wait_for(Event.BEGIN, unrelated)
    host.go()
    other.kill_tree()
    gone = time.monotonic()
    ended(unrelated, timeout=within(RESCUE_SECONDS))
    ended(in_transaction, timeout=SERVER_SECONDS)
    assert [unrelated.exception_type, in_transaction.exception_type] == ["WorkerLost", "WorkerLost"]
    assert time.monotonic() - gone < RESCUE_SECONDS
    fleet.platform.worker("next")
    finished([schedule(hold_row, {"lock": "devices", "path": str(fleet.directory)})])


@pytest.mark.needs("netns")
def test_the_jobs_of_a_host_that_vanished_are_rescued(vanishing: tuple[PostgreSQL, Host], fleet_beside: Fleet) -> None:
    server, host = vanishing
    _both_are_rescued(fleet_beside, host)
    of_the_host = "SELECT count(*) FROM pg_stat_activity WHERE client_addr <> '127.0.0.1'"
    wait_until(lambda: server.execute(of_the_host) == [(0,)], timeout=SERVER_SECONDS, message="dead backends stay")


@pytest.mark.needs("netns")
def test_the_advisory_lock_of_a_host_that_vanished_is_freed(
    vanishing: tuple[PostgreSQL, Host], fleet_beside: Fleet
) -> None:
    _, host = vanishing
    held = fleet_beside.directory / "held"
    hold = (
        "import pathlib, time; from cnaasjobs.db.exclusive import exclusively\n"
        f"with exclusively('republish') as mine: pathlib.Path({str(held)!r}).write_text(str(mine)); time.sleep(600)"
    )
    argv = [*host.prefix, sys.executable, "manage.py", "shell", "--no-imports", "--command", hold]
    fleet_beside.platform._start("holder", argv, env=host.env)
    wait_until(held.exists, timeout=30)
    assert held.read_text() == "True"
    with exclusively("republish") as mine:
        assert not mine
    host.go()

    def is_free() -> bool:
        with exclusively("republish") as mine:
            return mine

    wait_until(is_free, timeout=SERVER_SECONDS, interval=0.5)


def test_the_jobs_of_a_host_whose_connection_is_cut_silently_are_rescued(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    with Relay(postgresql.port) as relay:
        env = {"DATABASE_URL": relay.url(fleet.platform.env["DATABASE_URL"])}
        _both_are_rescued(fleet, Host(env, [], relay.cut))
