"""Changes are numbered by triggers, and a table whose triggers are gone is found."""

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader

from cnaasjobs.db.changes import without_triggers
from cnaasjobs.startup import problems
from tests.services import PostgreSQL

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _triggers() -> object:
    """They are made anew when the test is over."""
    yield
    call_command("migrate", verbosity=0, interactive=False)


def drop(name: str, table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if connection.vendor == "postgresql" else ""))


@pytest.mark.needs("sqlite")
@pytest.mark.usefixtures("_triggers")
@pytest.mark.parametrize("name", ["jobs_job_change_inserted", "jobs_job_change_updated", "locks_lock_change_updated"])
def test_a_missing_trigger_is_found_and_made_anew(name: str) -> None:
    table = name.partition("_change")[0]
    assert list(without_triggers(connection)) == []
    drop(name, table)
    assert list(without_triggers(connection)) == [table]
    assert [error.id for error in run_checks(tags=[Tags.database], databases=["default"])] == ["jobs.E001"]
    assert any(table in problem for problem in problems())
    call_command("migrate", verbosity=0, interactive=False)
    assert list(without_triggers(connection)) == []


@pytest.mark.needs("sqlite")
@pytest.mark.usefixtures("_triggers")
def test_a_table_that_was_made_anew_gets_its_triggers_back() -> None:
    """Django does so to change a column."""
    as_migrated = MigrationLoader(connection).project_state().apps.get_model("jobs", "Job")
    old = as_migrated._meta.get_field("comment")
    new = models.CharField(max_length=256, null=True)
    new.set_attributes_from_name("comment")
    with connection.schema_editor() as editor:
        editor.alter_field(as_migrated, old, new)
        editor.alter_field(as_migrated, new, old)
    assert list(without_triggers(connection)) == ["jobs_job"]
    call_command("migrate", verbosity=0, interactive=False)
    assert list(without_triggers(connection)) == []


@pytest.mark.needs("postgresql")
def test_a_missing_trigger_is_found_on_postgresql(postgresql: PostgreSQL) -> None:
    assert list(without_triggers(connection)) == []
    drop("locks_lock_change", "locks_lock")
    assert list(without_triggers(connection)) == ["locks_lock"]
