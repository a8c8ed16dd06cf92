"""What a job's own row does not keep: its earlier milestones, the job it came of, and what its code logged."""

from django.db import models
from django.db.models import F

from cnaasjobs.db.changes import ChangeField
from jobs.states import CameOf, Milestone


class JobMilestone(models.Model):
    """A milestone that the job's own row does not show. One that it shows has no row here: see
    ``jobs.lifecycle.milestones``.
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="milestones", db_index=False)
    milestone = models.CharField(max_length=16, choices=[(m.value, m.value) for m in Milestone], db_column="step")
    time = models.DateTimeField()
    detail = models.TextField(blank=True, default="", help_text="The lock, the worker or the reason, in words.")

    class Meta:
        db_table = "jobs_jobstep"  # this and the column are named as before: older processes may run beside this one
        indexes = [models.Index("job", "id", name="job_step_of_job")]

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.milestone}"


class JobLink(models.Model):
    """A job that a person made of an earlier one. One that a job scheduled as it ended is not here: that job's
    ``next_job_id`` names it.
    """

    job = models.OneToOneField("jobs.Job", primary_key=True, on_delete=models.CASCADE, related_name="link")
    of_id = models.BigIntegerField(db_index=True, help_text="The earlier job, which may be pruned by now.")
    kind = models.CharField(max_length=8, choices=[(k.value, k.value) for k in CameOf])

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.kind} of job {self.of_id}"


class JobLog(models.Model):
    """A batch of a job's log lines. With one row per line they would take twenty times as much space."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="log", db_index=False)
    lines = models.IntegerField()
    size = models.IntegerField(help_text="Bytes of the lines' texts.")
    text = models.TextField(help_text="JSON list of [time, level, module, device, text], without secrets.")
    change = ChangeField(help_text="Position in the change feed. The database writes it.")

    class Meta:
        indexes = [
            models.Index("job", "id", name="job_log_of_job"),
            models.Index(F("change"), name="job_log_change"),
        ]

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.lines} lines"
