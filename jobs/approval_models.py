"""Jobs that wait for a second person, and who made which token."""

from typing import Final

from django.db import models
from django.db.models import Q

APPROVED: Final = "approved"


class JobApproval(models.Model):
    """A job that waits, or waited, for approval. While it still does, its ``unapproved`` is true."""

    job = models.OneToOneField("jobs.Job", primary_key=True, on_delete=models.CASCADE, related_name="approval")
    why = models.TextField(help_text="Why the job needs approval, in words.")
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    verdict = models.CharField(
        max_length=64, default="", help_text='"approved", or the type of its end; empty while undecided.'
    )
    by = models.CharField(max_length=255, default="")
    decided_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=255, default="")

    class Meta:
        indexes = [models.Index("expires_at", name="job_approval_open", condition=Q(verdict=""))]

    def __str__(self) -> str:
        return f"approval of job {self.pk}: {self.verdict or 'open'}"


class JobBehind(models.Model):
    """A user who is behind a job beside its author: see ``jobs.dispatch.behind``."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="behind", db_index=False)
    user_id = models.BigIntegerField()

    class Meta:
        verbose_name = "user behind a job"
        verbose_name_plural = "users behind jobs"
        constraints = [models.UniqueConstraint(fields=["job", "user_id"], name="job_behind_once")]

    def __str__(self) -> str:
        return f"user {self.user_id} is behind job {self.job_id}"


class TokenMaker(models.Model):
    """Who made a token in the admin. Whoever uses it may be its owner, or its maker, who saw its text."""

    token = models.OneToOneField("knox.AuthToken", primary_key=True, on_delete=models.CASCADE, related_name="+")
    maker_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"made by user {self.maker_id}"
