"""An upgrade of the database and its rollback, with jobs in it: what the production docs say of their cost."""

import pytest
from django.core.management import CommandError, call_command

from devices.models import DeviceState
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import transitions
from jobs.models import AuditEntry, Heartbeat, Job, JobOutcome
from jobs.sql.tables import OF_A_JOB
from jobs.states import Status
from locks.models import Lock
from tests import fake_jobs
from tests.factory import audit_entries, device_row, heartbeat, hold_lock, job_in, job_row
from tests.services import PostgreSQL

BEFORE = (("jobs", "0003"), ("locks", "0001"), ("devices", "0001"))  # what commit 374eb4f has
# Every column of theirs that is not empty here, unless a later release has added it.
KEPT = {
    AuditEntry: ("time", "who", "origin", "action", "job_id"),
    DeviceState: ("host", "rendered_hash", "running_hash", "job_id", "uncertain_job_id"),
    Heartbeat: ("name", "counter", "queues"),
    Job: ("status", "run_token", "fence", "lock_name", "parked", "exception_type", "worker", "scheduled_time"),
    JobOutcome: ("result", "exception"),
    Lock: ("name", "holder_id", "fence", "start_time"),
}
LARGE = ("jobs_job", "jobs_joboutcome", "devices_devicestate")


def file_of(postgresql: PostgreSQL, table: str) -> int:
    """Another one after the table was written anew."""
    ((number,),) = postgresql.execute("SELECT pg_relation_filenode(%s)", table)
    return int(number)


@pytest.mark.needs("postgresql")
def test_an_upgrade_after_a_rollback_keeps_every_job_and_writes_no_table_of_jobs_anew(postgresql: PostgreSQL) -> None:
    job_row("FINISHED", result='{"a": 1}')
    for status in Status:
        job = job_in(status)
        device_row(job, "sw1")
    running = job_row("RUNNING", fence=7, lock_name="devices", worker="celery@w1")
    hold_lock("devices", running)
    heartbeat()
    audit_entries([1, 2])
    DeviceState.objects.create(
        host="sw1", rendered_hash="a", running_hash="b", job_id=1, committed_at=job.scheduled_time, uncertain_job_id=2
    )
    kept = _kept()
    for app, migration in BEFORE:
        call_command("migrate", app, migration, verbosity=0, interactive=False)
    before = [file_of(postgresql, table) for table in LARGE]
    call_command("migrate", verbosity=0, interactive=False)
    assert [file_of(postgresql, table) for table in LARGE] == before
    assert _kept() == kept


def _kept() -> dict[str, list[tuple[object, ...]]]:
    return {model.__name__: [*model._base_manager.order_by("pk").values_list("pk", *KEPT[model])] for model in KEPT}


@pytest.mark.needs("postgresql")
def test_a_rollback_starts_no_job_that_waits_for_approval(postgresql: PostgreSQL) -> None:
    """A release that does not know the column would."""
    job = fake_jobs.guarded.schedule()
    with pytest.raises(CommandError, match=f"wait for approval; approve, reject or abort them first: {job.pk}$"):
        call_command("migrate", "jobs", "0020", verbosity=0, interactive=False)
    assert transitions.cancel(job.pk, Failure(type=EndReason.JOB_REJECTED, message="no"))
    call_command("migrate", "jobs", "0020", verbosity=0, interactive=False)


@pytest.mark.needs("postgresql")
def test_what_belongs_to_a_job_goes_with_it_whoever_deletes_it(postgresql: PostgreSQL) -> None:
    """An earlier release prunes too, and does not know all of these tables."""
    keys = "SELECT conrelid::regclass::text, confdeltype FROM pg_constraint WHERE confrelid = 'jobs_job'::regclass"
    assert dict(postgresql.execute(keys)) == dict.fromkeys(OF_A_JOB, "c")


@pytest.mark.needs("postgresql")
def test_a_default_that_differs_from_row_to_row_writes_the_table_anew(postgresql: PostgreSQL) -> None:
    before = file_of(postgresql, "jobs_job")
    postgresql.execute("ALTER TABLE jobs_job ADD COLUMN of_each_row timestamptz DEFAULT clock_timestamp()")
    assert file_of(postgresql, "jobs_job") != before
