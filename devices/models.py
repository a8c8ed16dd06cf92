"""What the platform last committed to each device."""

from django.db import models


class DeviceState(models.Model):
    """One device after its last commit by us. The hashes are keyed: a configuration may hold weak secrets."""

    host = models.CharField(max_length=255, unique=True)
    rendered_hash = models.CharField(max_length=64, help_text="Hash of the rendered configuration that was committed.")
    running_hash = models.CharField(
        max_length=64, blank=True, help_text="Hash of what it ran after the commit; empty if that can't be recognised."
    )
    unstable_lines = models.TextField(
        blank=True,
        default="",
        db_default="",  # a worker of the previous version does not set it
        help_text="Comma-separated numbers of lines that differ each time, so that the hash leaves them out.",
    )
    changes = models.TextField(
        default="[]",
        db_default="[]",  # a worker of the previous version does not set it
        help_text="JSON list, the newest last: [epoch seconds, by whom] of the last live syncs that changed it.",
    )
    job_id = models.BigIntegerField(help_text="The job that committed it.")
    committed_at = models.DateTimeField()
    uncertain_job_id = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="A job that was about to change it and has not said how that ended. Until then it is not in sync.",
    )

    class Meta:
        ordering = ["host"]

    def __str__(self) -> str:
        return self.host
