"""What the platform last committed to each device."""

from django.db import models


class DeviceState(models.Model):
    """One device after its last commit by us. The hashes are keyed: a configuration may hold weak secrets."""

    host = models.CharField(max_length=255, unique=True)
    rendered_hash = models.CharField(max_length=64, help_text="Hash of the rendered configuration that was committed.")
    running_hash = models.CharField(
        max_length=64, blank=True, help_text="Of what the device ran after the commit; empty if it can't be recognised."
    )
    unstable_lines = models.TextField(
        blank=True,
        default="",
        db_default="",  # a worker of the previous version does not set it
        help_text="Numbers of lines that are not in the hash: the device shows them anew each time. Comma-separated.",
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
        help_text="A job that was about to change the device and has not said how that ended. Not in sync, then.",
    )

    class Meta:
        ordering = ["host"]

    def __str__(self) -> str:
        return self.host
