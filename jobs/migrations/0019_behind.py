"""Several people may be behind a job, and behind one that needs no approval."""

import django.db.models.deletion
from django.db import migrations, models


def copy(apps, schema_editor):
    approvals = apps.get_model("jobs", "JobApproval").objects.filter(verdict="", acts_for_id__isnull=False)
    behind = apps.get_model("jobs", "JobBehind")
    rows = approvals.values_list("job_id", "acts_for_id")
    behind.objects.bulk_create([behind(job_id=job_id, user_id=user_id) for job_id, user_id in rows])


class Migration(migrations.Migration):
    dependencies = [("jobs", "0018_devices_in_turn")]

    operations = [
        migrations.CreateModel(
            name="JobBehind",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="behind",
                        to="jobs.job",
                    ),
                ),
                ("user_id", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("job", "user_id"), name="job_behind_once"),
                ],
            },
        ),
        migrations.RunPython(copy, migrations.RunPython.noop),
        migrations.RemoveField(model_name="jobapproval", name="acts_for_id"),
    ]
