from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0014_came_of"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                models.F("scheduled_by"),
                models.F("id"),
                condition=models.Q(("scheduled_by__isnull", False)),
                name="job_by_scheduled_by",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                models.F("ticket_ref"),
                models.F("id"),
                condition=models.Q(("ticket_ref__isnull", False)),
                name="job_by_ticket_ref",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                models.F("lock_name"),
                models.F("id"),
                condition=models.Q(("lock_name__isnull", False)),
                name="job_by_lock_name",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                models.F("change_score"),
                models.F("id"),
                condition=models.Q(("change_score__gt", 0)),
                name="job_by_change_score",
            ),
        ),
    ]
