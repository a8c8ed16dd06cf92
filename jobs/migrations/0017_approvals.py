import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0016_scopes"),
        ("knox", "0009_extend_authtoken_field"),
    ]

    operations = [
        migrations.CreateModel(
            name="TokenMaker",
            fields=[
                (
                    "token",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="knox.authtoken",
                    ),
                ),
                ("maker_id", models.BigIntegerField()),
            ],
        ),
        migrations.AlterModelOptions(
            name="job",
            options={
                "ordering": ["id"],
                "permissions": [
                    ("abort_job", "Can abort a job"),
                    ("approve_job", "Can approve a job of somebody else"),
                ],
            },
        ),
        migrations.AddField(
            model_name="job",
            name="unapproved",
            field=models.BooleanField(blank=True, help_text="True: it waits for approval, and is parked.", null=True),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=[
                    ("scheduled", "scheduled"),
                    ("aborted", "aborted"),
                    ("approved", "approved"),
                    ("rejected", "rejected"),
                    ("cleared", "cleared"),
                    ("withdrawn", "withdrawn"),
                    ("refused", "refused"),
                    ("logged in", "logged in"),
                    ("login failed", "login failed"),
                    ("made", "made"),
                    ("changed", "changed"),
                    ("deleted", "deleted"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="jobstep",
            name="step",
            field=models.CharField(
                choices=[
                    ("posted", "posted"),
                    ("approved", "approved"),
                    ("due", "due"),
                    ("parked", "parked"),
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
        migrations.CreateModel(
            name="JobApproval",
            fields=[
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="approval",
                        serialize=False,
                        to="jobs.job",
                    ),
                ),
                ("why", models.TextField(help_text="Why the job needs approval, in words.")),
                ("asked_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "acts_for_id",
                    models.BigIntegerField(help_text="A user who is behind it beside its author.", null=True),
                ),
                (
                    "verdict",
                    models.CharField(
                        default="",
                        help_text='"approved", or the type of its end; empty while undecided.',
                        max_length=64,
                    ),
                ),
                ("by", models.CharField(default="", max_length=255)),
                ("decided_at", models.DateTimeField(null=True)),
                ("comment", models.CharField(default="", max_length=255)),
            ],
            options={
                "indexes": [
                    models.Index(models.F("expires_at"), condition=models.Q(("verdict", "")), name="job_approval_open")
                ],
            },
        ),
    ]
