import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("jobs", "0015_search_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="GroupScope",
            fields=[
                (
                    "group",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="scope",
                        serialize=False,
                        to="auth.group",
                    ),
                ),
                (
                    "device_groups",
                    models.TextField(blank=True, help_text="Groups of the inventory, one a line; subgroups count too."),
                ),
                (
                    "device_types",
                    models.TextField(blank=True, help_text="Types of devices, one a line: ACCESS, DIST or CORE."),
                ),
                (
                    "functions",
                    models.TextField(
                        blank=True,
                        help_text='Functions, one a line; "sync_devices (dry_run)" allows dry runs only. Empty: any.',
                    ),
                ),
            ],
            options={
                "verbose_name": "scope",
            },
        ),
        migrations.AddField(
            model_name="job",
            name="author_id",
            field=models.BigIntegerField(blank=True, help_text="The user with whose rights it was started.", null=True),
        ),
    ]
