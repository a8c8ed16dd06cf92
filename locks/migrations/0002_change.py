from django.db import migrations, models

from cnaasjobs.db import changes

TABLE = "locks_lock"


def number_changes(apps, schema_editor):
    changes.number_changes(TABLE, schema_editor)


def undo(apps, schema_editor):
    changes.stop_numbering(TABLE, schema_editor)


class Migration(migrations.Migration):
    dependencies = [
        ("locks", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="lock",
            name="change",
            field=models.BigIntegerField(
                db_default=changes.TransactionNumber(),
                editable=False,
                help_text="Position of its last change in the change feed. The database writes it.",
            ),
        ),
        migrations.RunPython(number_changes, undo),
    ]
