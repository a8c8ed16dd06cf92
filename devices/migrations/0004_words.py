from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0003_changes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="devicestate",
            name="running_hash",
            field=models.CharField(
                blank=True,
                help_text="Hash of what it ran after the commit; empty if that can't be recognised.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="devicestate",
            name="uncertain_job_id",
            field=models.BigIntegerField(
                blank=True,
                help_text="A job that was about to change it and has not said how that ended. Until then it is not in sync.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="devicestate",
            name="unstable_lines",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="Comma-separated numbers of lines that differ each time, so that the hash leaves them out.",
            ),
        ),
    ]
