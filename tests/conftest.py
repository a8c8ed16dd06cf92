"""Fixtures for all tests: private services, real processes."""

import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import connections
from django.template import Template
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings
from pytest_django import DjangoDbBlocker

from cnaasjobs.api import throttle
from cnaasjobs.conf import conf
from cnaasjobs.embedded import broker_socket
from cnaasjobs.events import Event, subscribe, unsubscribe
from console.reads import ended, shared
from jobs.fleet.assignment import found_to_differ
from tests.emptying import empty, empty_tables
from tests.migrated import django_db_keepdb, django_db_setup, migrated_cluster, migrated_file, run_directory
from tests.needs import (
    pytest_runtest_logreport,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_unconfigure,
    require,
)
from tests.services import PostgreSQL, RabbitMQ, Redis, Service, scratch_directory
from tests.services.lasting import LastingRabbitMQ
from tests.services.processes import Platform
from tests.services.shared import SharedRabbitMQ, shared_rabbitmq
from tests.settings import EMBEDDED_BROKER
from tests.switching import broker_url, database_url, forget_broker_connections, on_broker, on_database, purge_broker

__all__ = [
    "django_db_keepdb",
    "django_db_setup",
    "migrated_file",
    "pytest_runtest_logreport",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_unconfigure",
    "run_directory",
]

pytest_plugins = ["tests.parallel"]

TransactionTestCase._fixture_teardown = empty_tables  # type: ignore[attr-defined]

# A shell starts what it puts into the background with SIGINT ignored, and all that comes of it inherits that. What the
# tests start must end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# On a busy machine one example may take any time, and so may making it.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_numbers = count(1)
_render = Template._render  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real processes see only what is committed, so these tests get the marker before pytest-django orders them."""
    for item in items:
        names = getattr(item, "fixturenames", [])
        if "platform" in names and "postgresql" not in names:
            item.add_marker(pytest.mark.django_db(transaction=True))


def _session_service(
    kind: type[PostgreSQL] | type[RabbitMQ] | type[Redis], prepare: Callable[[Any], None] = lambda _: None
) -> Iterator[Service]:
    require([kind.name])
    directory = scratch_directory(kind.name, in_memory=True)
    service = kind(directory)
    try:
        prepare(service)
        yield service.start()
    finally:
        service.kill()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def _postgresql_server(run_directory: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Service]:
    def begin_with_the_copy(server: PostgreSQL) -> None:
        server.begin_with(migrated_cluster(run_directory, django_db_blocker))

    yield from _session_service(PostgreSQL, begin_with_the_copy)


@pytest.fixture(scope="session")
def _rabbitmq_server() -> Iterator[Service]:
    yield from _session_service(LastingRabbitMQ)


@pytest.fixture(scope="session")
def _shared_rabbitmq(run_directory: Path) -> RabbitMQ:
    require([RabbitMQ.name])
    return shared_rabbitmq(run_directory)


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[Service]:
    yield from _session_service(Redis)


@pytest.fixture
def postgresql(_postgresql_server: PostgreSQL, django_db_blocker: DjangoDbBlocker) -> Iterator[PostgreSQL]:
    """A private PostgreSQL to break, with a new migrated database that Django uses in this test (instead of ``db``)."""
    server = _postgresql_server
    name = f"test{next(_numbers)}"
    server.database = name
    try:
        with django_db_blocker.unblock(), on_database(server.create_database(name, template="migrated")):
            yield server
    finally:
        server.recover()
        if not server.takes_writes:
            server.take_writes_again()
        server.drop_database(name)
        server.database = "cnaasjobs"


@pytest.fixture
def lazy_log(postgresql: PostgreSQL) -> Iterator[None]:
    """It writes its log when a commit waits for that, and not for ten seconds else: a crash takes more back."""
    postgresql.set("wal_writer_delay", "10s")
    yield
    postgresql.set("wal_writer_delay", "200ms")


@pytest.fixture(scope="session")
def _kept_database(_postgresql_server: PostgreSQL) -> str:
    """One database for all tests that break nothing: it is emptied after each, like the suite's own."""
    return _postgresql_server.database_url("kept")


@pytest.fixture
def _postgresql_to_use(
    _postgresql_server: PostgreSQL, _kept_database: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    with django_db_blocker.unblock(), on_database(_kept_database):
        yield
        connections["default"].close()
        _postgresql_server.cut_connections()  # of the test's threads
        empty(connections["default"])


@pytest.fixture(params=["own", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))])
def each_database(request: pytest.FixtureRequest) -> None:
    """The suite's own database, and one on PostgreSQL. For tests that are marked ``django_db`` too."""
    if request.param == "postgresql":
        request.getfixturevalue("_postgresql_to_use")


@pytest.fixture
def rabbitmq(request: pytest.FixtureRequest) -> Iterator[RabbitMQ]:
    """A new virtual host that this process's Celery uses during this test, on the RabbitMQ of all tests.

    A test that is marked ``breaks_rabbitmq`` has a server to break.
    """
    if request.node.get_closest_marker("breaks_rabbitmq"):
        server: RabbitMQ = request.getfixturevalue("_rabbitmq_server")
        server.recover()  # now, not after the test that broke it: perhaps no other needs it
    else:
        server = request.getfixturevalue("_shared_rabbitmq")
    server.use_new_vhost()
    with on_broker(server.url):
        yield server
    if isinstance(server, SharedRabbitMQ):
        server.leave_vhost()


@pytest.fixture
def redis(_redis_server: Redis) -> Iterator[Redis]:
    """A private Redis on TCP to break, that this process's Celery uses during this test."""
    server = _redis_server
    server.purge()
    try:
        with on_broker(server.url):
            yield server
    finally:
        server.recover()


@pytest.fixture(scope="session", autouse=True)
def django_test_environment(django_test_environment: None) -> None:
    """Templates are rendered as in production.

    For ``response.context`` and ``response.templates``, which nobody reads here, Django's tests copy what each of them
    is given, those of the options of a form included: up to a fifth of a page's time.
    """
    Template._render = _render  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def _embedded_broker() -> Iterator[None]:
    """The broker of the suite's own settings: started here unless CELERY_BROKER_URL named one."""
    if not EMBEDDED_BROKER or not Redis.is_available():
        yield
        return
    server = Redis(conf.state_dir / "broker", unix_socket=broker_socket(conf.state_dir)).start()
    yield
    server.kill()


@pytest.fixture(autouse=True)
def _nobody_was_wrong_before() -> None:
    """Failed logins and tokens are counted in the process."""
    throttle.forget()


@pytest.fixture(autouse=True)
def _nobody_has_been_shown_anything() -> None:
    """The console keeps for a second what everybody is shown alike, and what ended jobs show for longer."""
    shared.forget()
    ended.forget()


@pytest.fixture(autouse=True)
def _nobody_differed_before() -> None:
    """A process knows which jobs it can't help with, and the jobs of each test have the same numbers."""
    found_to_differ.clear()


@pytest.fixture(autouse=True)
def _events_as_declared() -> Iterator[None]:
    """Every event that a test causes in this process must have the fields that its action declares."""
    undeclared: list[Event] = []

    def check(event: Event) -> None:
        if set(event.fields) != set(event.action.fields):
            undeclared.append(event)

    subscribe(check)
    yield
    unsubscribe(check)
    assert undeclared == []


@pytest.fixture
def heard() -> Iterator[list[Event]]:
    """Every event that this process records during the test."""
    events: list[Event] = []
    subscribe(events.append)
    yield events
    unsubscribe(events.append)


@pytest.fixture(autouse=True)
def _broker(_embedded_broker: None) -> None:
    """In a test that schedules a job, publishing finds a broker."""


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of a broker with empty queues: ``rabbitmq`` or ``redis`` where the test takes these, else the suite's."""
    own = [name for name in ("rabbitmq", "redis") if name in request.fixturenames]
    for name in own:
        request.getfixturevalue(name)
    if EMBEDDED_BROKER and not own:
        require(["redis"])
    forget_broker_connections()
    purge_broker([current_app.conf.task_default_queue])
    return broker_url()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory for services and real processes; short enough for a unix socket, open to other users."""
    directory = scratch_directory("scratch", in_memory=True)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def platform(request: pytest.FixtureRequest, broker: str, scratch: Path) -> Iterator[Platform]:
    """Real workers, Beats and web servers on the database and broker that this test's Django and Celery use.

    A web server is one process, where a test does not ask for more.
    """
    if "postgresql" in request.fixturenames:
        request.getfixturevalue("postgresql")
    env = {"CNAASJOBS_WEB_WORKERS": "1"}
    platform = Platform(database_url=database_url(), broker_url=broker, directory=scratch, env=env)
    try:
        yield platform
    finally:
        platform.kill()  # how they end by themselves is tried where it matters
