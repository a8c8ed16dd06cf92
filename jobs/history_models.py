"""What a job's own row does not keep: the earlier steps of its life, the job it came of, and what its code logged."""

from django.db import models
from django.db.models import F

from cnaasjobs.db.changes import ChangeField
from jobs.states import CameOf, Step


class JobStep(models.Model):
    """A step that the job's own row no longer shows. One that it shows is not here: see ``jobs.lifecycle.steps``."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="steps", db_index=False)
    step = models.CharField(max_length=16, choices=[(s.value, s.value) for s in Step])
    time = models.DateTimeField()
    detail = models.TextField(blank=True, default="", help_text="The lock, the worker or the reason, in words.")

    class Meta:
        indexes = [models.Index("job", "id", name="job_step_of_job")]

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.step}"


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
