from django.db import migrations

from cnaasjobs.db import changes

TABLES = ("jobs_job", "jobs_joblog")


def number_changes(apps, schema_editor):
    for table in TABLES:
        changes.number_changes(table, schema_editor)


class Migration(migrations.Migration):
    """The trigger fires after the row was written, and only for an UPDATE that did not write the number itself.

    Backwards nothing is done: earlier releases work with this trigger too.
    """

    dependencies = [
        ("jobs", "0012_roles"),
    ]

    operations = [
        migrations.RunPython(number_changes, migrations.RunPython.noop),
    ]
