from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0021_unapproved_only_parked"),
    ]

    operations = [
        migrations.AlterField(
            model_name="jobstep",
            name="step",
            field=models.CharField(
                choices=[
                    ("posted", "posted"),
                    ("approved", "approved"),
                    ("due", "due"),
                    ("parked", "parked"),
                    ("refused", "refused"),
                    ("started", "started"),
                    ("retried", "retried"),
                    ("lost", "lost"),
                    ("rerun", "rerun"),
                    ("asked to stop", "asked to stop"),
                    ("ended", "ended"),
                ],
                max_length=16,
            ),
        ),
    ]
