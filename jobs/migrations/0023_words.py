"""Other words for the same tables and columns: no statement changes them.

What the code now calls a milestone keeps the table and the column that are named after a step, because processes of an
earlier release may run beside this one.
"""

from functools import partial
from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def rename_permissions(apps: Any, schema_editor: Any, *, old: str, new: str) -> None:
    """Otherwise Django would keep those of the old name beside the new ones."""
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    for permission in permissions.filter(content_type__app_label="jobs", codename__endswith=f"_job{old}"):
        permission.codename = permission.codename.replace(f"_job{old}", f"_job{new}")
        permission.name = permission.name.replace(f"job {old}", f"job {new}")
        permission.save()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("jobs", "0022_refused"),
    ]

    operations = [
        migrations.AlterModelTable(name="jobstep", table="jobs_jobstep"),
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
                db_column="step",
                max_length=16,
            ),
        ),
        migrations.RenameModel(old_name="JobStep", new_name="JobMilestone"),
        migrations.RenameField(model_name="jobmilestone", old_name="step", new_name="milestone"),
        migrations.AlterField(
            model_name="jobmilestone",
            name="job",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="milestones", to="jobs.job"
            ),
        ),
        migrations.AlterModelOptions(
            name="jobbehind",
            options={"verbose_name": "user behind a job", "verbose_name_plural": "users behind jobs"},
        ),
        migrations.AlterField(
            model_name="fleet",
            name="all_or_none",
            field=models.BooleanField(help_text="Whether a step waits until all devices have finished the one before."),
        ),
        migrations.AlterField(
            model_name="fleet",
            name="attempt",
            field=models.PositiveIntegerField(
                default=1, help_text="The job's attempt; a row of an earlier one is out of date."
            ),
        ),
        migrations.AlterField(
            model_name="fleet",
            name="end",
            field=models.TextField(
                blank=True, help_text="How the run ends; the last participant writes it down.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="fleet",
            name="fingerprint",
            field=models.CharField(help_text="Of what all participants must have in common.", max_length=64),
        ),
        migrations.AlterField(
            model_name="fleet",
            name="refused",
            field=models.TextField(
                blank=True, help_text="Why no further step may begin. It is decided once.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="groupscope",
            name="device_groups",
            field=models.TextField(
                blank=True, help_text="Groups of the inventory, one per line; their subgroups are included."
            ),
        ),
        migrations.AlterField(
            model_name="groupscope",
            name="device_types",
            field=models.TextField(
                blank=True,
                help_text="ACCESS, DIST or CORE, one per line. Groups or types: a device is allowed if either names it. If both are empty, any device is allowed.",
            ),
        ),
        migrations.AlterField(
            model_name="groupscope",
            name="functions",
            field=models.TextField(
                blank=True,
                help_text='Functions, one per line; "sync_devices (dry_run)" allows dry runs only. If empty, any.',
            ),
        ),
        migrations.AlterField(
            model_name="heartbeat",
            name="last_seen",
            field=models.DateTimeField(help_text="The database's time of the last heartbeat, for people."),
        ),
        migrations.AlterField(
            model_name="heartbeat",
            name="run_tokens",
            field=models.TextField(default="[]", help_text="JSON list of the tokens of the runs in progress."),
        ),
        migrations.AlterField(
            model_name="heartbeat",
            name="stopped_at",
            field=models.DateTimeField(
                blank=True, help_text="When it stopped in order, or was judged lost.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="finished_devices",
            field=models.TextField(blank=True, help_text="JSON list of names; null until it starts.", null=True),
        ),
        migrations.AlterField(
            model_name="job",
            name="function_name",
            field=models.CharField(help_text='For people; that of a dry run ends in " (dry_run)".', max_length=128),
        ),
        migrations.AlterField(
            model_name="job",
            name="parked",
            field=models.BooleanField(
                default=False, help_text="In line for its lock, or waiting for approval. No message."
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="priority",
            field=models.SmallIntegerField(
                default=0, help_text="0 to 9; 9 goes first in its queue, not in a lock's line."
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="run_token",
            field=models.UUIDField(blank=True, help_text="Identifies the run; null unless RUNNING.", null=True),
        ),
        migrations.AlterField(
            model_name="job",
            name="scheduled_time",
            field=models.DateTimeField(help_text="When it is due, in UTC. After a retry, when it is due again."),
        ),
        migrations.AlterField(
            model_name="job",
            name="task_name",
            field=models.CharField(help_text="The name of the Celery task that runs it.", max_length=255),
        ),
        migrations.AlterField(
            model_name="jobblock",
            name="id",
            field=models.BigIntegerField(
                help_text="Its jobs have the ids from this number × BLOCK on.", primary_key=True, serialize=False
            ),
        ),
        migrations.AlterField(
            model_name="jobdevice",
            name="changed",
            field=models.BooleanField(
                blank=True,
                help_text="Whether it was, or would be, changed. Null: the function does not say.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="jobdevice",
            name="finish_time",
            field=models.DateTimeField(blank=True, help_text="Null until DONE.", null=True),
        ),
        migrations.AlterField(
            model_name="jobdevice",
            name="if_lost",
            field=models.TextField(
                blank=True, help_text="What to report about it if its process is lost from this step on.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="jobdevice",
            name="reason",
            field=models.TextField(
                blank=True, help_text="In words, without secrets; null unless it failed.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="jobdevice",
            name="step",
            field=models.CharField(
                blank=True, default="", help_text="The last step that was noted as begun.", max_length=64
            ),
        ),
        migrations.AlterField(
            model_name="jobdevice",
            name="steps_over",
            field=models.SmallIntegerField(
                default=0, help_text="How many steps it has finished, if there are several."
            ),
        ),
        migrations.AlterField(
            model_name="joboutcome",
            name="devices_bytes",
            field=models.BigIntegerField(
                blank=True,
                help_text="The size of the result if it is made from the device rows; otherwise null.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="metriccount",
            name="buckets",
            field=models.TextField(
                default="[]", help_text="For a histogram: JSON list, how many values each bucket has."
            ),
        ),
        migrations.AlterField(
            model_name="metricmark",
            name="feed",
            field=models.CharField(blank=True, help_text="The feed in which upto is a position.", max_length=32),
        ),
        migrations.AlterField(
            model_name="metricmark",
            name="since",
            field=models.DateTimeField(
                help_text="Jobs that ended before this are not counted: their positions may be of another feed."
            ),
        ),
        migrations.AlterField(
            model_name="role",
            name="given",
            field=models.TextField(default="[]", help_text="JSON list of all permissions that it was ever given."),
        ),
        migrations.AlterField(
            model_name="watermark",
            name="candidate",
            field=models.BigIntegerField(
                default=0,
                help_text="The next watermark, once all transactions that were open when it was noted have ended.",
            ),
        ),
        migrations.RunPython(
            partial(rename_permissions, old="step", new="milestone"),
            partial(rename_permissions, old="milestone", new="step"),
        ),
    ]
