"""No process starts a job that waits for approval, not even one of a release that does not know the column."""

from django.core.management import CommandError
from django.db import migrations, models


def require_none(apps, schema_editor):
    """Without the constraint an earlier release would start them."""
    waiting = apps.get_model("jobs", "Job").objects.filter(unapproved=True).order_by("id")
    if ids := list(waiting.values_list("pk", flat=True)[:20]):
        named = " ".join(map(str, ids))
        raise CommandError(f"These jobs wait for approval; approve, reject or abort them first: {named}")


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0020_devices_failed"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("unapproved__isnull", True),
                    models.Q(("status__in", ["SCHEDULED"]), ("parked", True)),
                    _connector="OR",
                ),
                name="job_unapproved_only_parked",
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, require_none),
    ]
