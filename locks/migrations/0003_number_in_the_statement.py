from django.db import migrations

from cnaasjobs.db import changes

TABLE = "locks_lock"


def number_changes(apps, schema_editor):
    changes.number_changes(TABLE, schema_editor)


class Migration(migrations.Migration):
    """The trigger fires after the row was written, and only for an UPDATE that did not write the number itself.

    Backwards nothing is done: earlier releases work with this trigger too.
    """

    dependencies = [
        ("locks", "0002_change"),
    ]

    operations = [
        migrations.RunPython(number_changes, migrations.RunPython.noop),
    ]
