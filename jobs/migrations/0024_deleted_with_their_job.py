"""What belongs to a job goes with it, whoever deletes it: an earlier release does not know the tables of a later one."""

from django.db import migrations

TABLES = (
    "jobs_fleet",
    "jobs_jobapproval",
    "jobs_jobbehind",
    "jobs_jobdevice",
    "jobs_joblink",
    "jobs_joblog",
    "jobs_joboutcome",
    "jobs_jobstep",
    "jobs_participant",
)
NAME = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND confrelid = 'jobs_job'::regclass"
# Not valid at first, so that nobody waits while the rows are read: validating lets others write.
CASCADE = """
    ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} FOREIGN KEY (job_id) REFERENCES jobs_job (id)
    ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED NOT VALID
"""
VALIDATE = "ALTER TABLE {table} VALIDATE CONSTRAINT {name}"


def delete_with_their_job(apps, schema_editor):
    """SQLite would have to write each table anew, and all its processes are of one release."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for statement in (CASCADE, VALIDATE):
        for table in TABLES:
            with schema_editor.connection.cursor() as cursor:
                cursor.execute(NAME, [table])
                ((name,),) = cursor.fetchall()
            schema_editor.execute(statement.format(table=table, name=schema_editor.quote_name(name)))


class Migration(migrations.Migration):
    """Each statement by itself; repeated after a failure in the middle, it does the same again.

    Backwards nothing is done: earlier releases work with this too.
    """

    atomic = False

    dependencies = [
        ("jobs", "0023_words"),
    ]

    operations = [
        migrations.RunPython(delete_with_their_job, migrations.RunPython.noop),
    ]
