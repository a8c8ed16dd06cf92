"""The product's tables, as a project that has them would declare them."""

from django.db import models


class Job(models.Model):
    status = models.CharField(max_length=9)
    scheduled_time = models.DateTimeField()
    start_time = models.DateTimeField(null=True)
    finish_time = models.DateTimeField(null=True)
    function_name = models.CharField(max_length=128)
    scheduled_by = models.CharField(max_length=255, null=True)
    comment = models.CharField(max_length=255, null=True)
    ticket_ref = models.CharField(max_length=32, null=True)
    next_job_id = models.BigIntegerField(null=True)
    finished_devices = models.JSONField(null=True)
    change_score = models.SmallIntegerField(null=True)
    start_arguments = models.JSONField()

    class Meta:
        managed = False
        db_table = "jobs_job"

    def __str__(self) -> str:
        return f"job {self.pk}"


class Outcome(models.Model):
    job = models.OneToOneField(Job, primary_key=True, on_delete=models.CASCADE, related_name="outcome")
    result = models.JSONField(null=True)
    exception = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "jobs_joboutcome"

    def __str__(self) -> str:
        return f"outcome of job {self.pk}"
