"""Migrated databases are made once per run: the first process that needs one makes it, the others copy it."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from jobs.api import health
from tests.services import PostgreSQL, scratch_directory
from tests.switching import on_database
from tests.waiting import wait_until


def made_once(directory: Path, name: str, make: Callable[[Path], None]) -> Path:
    """What ``make`` leaves at the path that it is given; all processes of a run have the directory in common."""
    place = directory / name
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            making = directory / f"{name}.making"
            make(making)
            making.rename(place)
    return place


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def migrated_file(run_directory: Path, django_db_blocker: DjangoDbBlocker) -> Path:
    """A database of SQLite, to be copied."""

    def make(place: Path) -> None:
        with django_db_blocker.unblock(), on_database(f"sqlite:///{place}"):
            _migrate()
            connection.close()

    return made_once(run_directory, "migrated.sqlite3", make)


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None, request: pytest.FixtureRequest) -> bool:
    """pytest-django asks whether the suite's database is there already: a copy is, where it is a file."""
    if connection.vendor != "sqlite":
        return False
    shutil.copyfile(request.getfixturevalue("migrated_file"), connection.settings_dict["TEST"]["NAME"])
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The suite's database is dropped when nobody else is connected: a process that was killed may still end there."""
    yield
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            health._database.end()  # its thread keeps a connection
            wait_until(lambda: not _others(), timeout=60, message=lambda: f"still connected: {_others()}")


def _others() -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, application_name, state, backend_start, query FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return list(cursor.fetchall())


def migrated_cluster(run_directory: Path, blocker: DjangoDbBlocker) -> Path:
    """The data of a PostgreSQL with the databases ``migrated`` and, for tests that break nothing, ``kept``."""

    def make(place: Path) -> None:
        server = PostgreSQL(scratch_directory("postgresql"))
        try:
            server.start()
            with blocker.unblock(), on_database(server.create_database("migrated")):
                _migrate()
            server.create_database("kept", template="migrated")
            server.stop()
            shutil.move(server.data, place)
        finally:
            server.kill()
            shutil.rmtree(server.directory, ignore_errors=True)

    return made_once(run_directory, "postgresql", make)


def _migrate() -> None:
    call_command("migrate", verbosity=0, interactive=False)
