from django.db import migrations, models

from cnaasjobs.db import changes

TABLE = "jobs_job"


def number_changes(apps, schema_editor):
    changes.number_changes(TABLE, schema_editor)


def undo(apps, schema_editor):
    changes.stop_numbering(TABLE, schema_editor)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0005_device_rows"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="change",
            field=models.BigIntegerField(
                db_default=changes.TransactionNumber(),
                editable=False,
                help_text="Position of its last change in the change feed. The database writes it.",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(models.F("change"), name="job_change"),
        ),
        migrations.RunPython(number_changes, undo),
    ]
