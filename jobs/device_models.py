"""The devices of a job that goes through them by ``ctx.each``: a row each, and the processes that work on them.

The rows are the truth, while the job runs and after its end. What a job knows of a device is written once, here; the
job's ``finished_devices`` and its result are made of these rows.
"""

import uuid
from typing import Final

from django.db import models
from django.db.models import Q

from jobs.states import JobDeviceState

# How a Fleet's ``refused`` begins if the step before took too long. Otherwise it names the devices that failed.
TOO_LONG: Final = "the time that the step before took"
# It is this if a failover to a standby that was behind lost what the participants had been told between two steps.
LOST: Final = "a failover of the database, which lost what was decided between two steps"


class JobDevice(models.Model):
    """One device of one job. When the job has ended, none is TAKEN any more, and those still WAITING were never begun.

    So what an ended job left undone, however it ended, is ``Q(failed=True) | ~Q(state=JobDeviceState.DONE)``.
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="devices", db_index=False)
    place = models.IntegerField(help_text="Its number in the selection, from 0: the order of the result.")
    host = models.CharField(max_length=255)
    state = models.CharField(
        max_length=7, choices=[(s.value, s.value) for s in JobDeviceState], default=JobDeviceState.WAITING.value
    )
    failed = models.BooleanField(default=False, help_text="Only if DONE. A device that was lost has failed too.")
    reason = models.TextField(null=True, blank=True, help_text="In words, without secrets; null unless it failed.")
    change_score = models.SmallIntegerField(null=True, blank=True, help_text="0 to 100, if its function gave one.")
    changed = models.BooleanField(
        null=True, blank=True, help_text="Whether it was, or would be, changed. Null: the function does not say."
    )
    taken_back = models.BooleanField(
        default=False,
        db_default=False,
        help_text="DONE because the job was stopped while it was in progress; not among the finished devices.",
    )
    report = models.TextField(
        null=True, blank=True, help_text="JSON text without secrets; null until DONE, and if the device was lost."
    )
    step = models.CharField(max_length=64, blank=True, default="", help_text="The last step that was noted as begun.")
    if_lost = models.TextField(
        null=True, blank=True, help_text="What to report about it if its process is lost from this step on."
    )
    steps_over = models.SmallIntegerField(default=0, help_text="How many steps it has finished, if there are several.")
    tries = models.SmallIntegerField(default=0, help_text="How often it was begun again because its process was lost.")
    participant = models.UUIDField(null=True, blank=True, help_text="The participant that has it, or had it last.")
    worker = models.CharField(max_length=255, null=True, blank=True, help_text="The name of that participant's worker.")
    start_time = models.DateTimeField(null=True, blank=True)
    finish_time = models.DateTimeField(null=True, blank=True, help_text="Null until DONE.")
    memo = models.TextField(
        null=True, blank=True, help_text="What its function keeps for a later job: JSON text, never shown."
    )

    class Meta:
        ordering = ["job", "place"]
        constraints = [
            models.UniqueConstraint(fields=["job", "host"], name="jobdevice_once"),
            models.CheckConstraint(
                name="jobdevice_finish_time_iff_done",
                condition=Q(state=JobDeviceState.DONE.value, finish_time__isnull=False)
                | (
                    ~Q(state=JobDeviceState.DONE.value) & Q(finish_time__isnull=True, failed=False, report__isnull=True)
                ),
            ),
            models.CheckConstraint(
                name="jobdevice_reason_iff_failed",
                condition=Q(failed=True, reason__isnull=False) | Q(failed=False, reason__isnull=True),
            ),
            models.CheckConstraint(
                name="jobdevice_participant_if_taken",
                condition=~Q(state=JobDeviceState.TAKEN.value) | Q(participant__isnull=False),
            ),
        ]
        indexes = [
            models.Index("host", "job", name="jobdevice_history"),
            models.Index("job", "id", name="jobdevice_in_turn", condition=Q(state=JobDeviceState.WAITING.value)),
            # For people, who look at these first. A device that went well pays nothing for it.
            models.Index("job", "place", name="jobdevice_failed", condition=Q(failed=True)),
        ]

    def __str__(self) -> str:
        return f"{self.host} in job {self.job_id}"


class Participant(models.Model):
    """A process in which the body of a running job runs. All are equal; the last one out ends the job.

    The job's ``run_token``, ``worker_id`` and ``worker`` always name one of them.
    """

    token = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="participants")
    worker_id = models.BigIntegerField(null=True, blank=True, help_text="The heartbeat of its worker.")
    worker = models.CharField(max_length=255)
    joined_at = models.DateTimeField()

    class Meta:
        ordering = ["joined_at"]

    def __str__(self) -> str:
        return f"{self.worker} in job {self.job_id}"


class Fleet(models.Model):
    """What the participants of one run share. It is written with the job's row locked, except when ``each`` begins."""

    job = models.OneToOneField("jobs.Job", primary_key=True, on_delete=models.CASCADE, related_name="fleet")
    attempt = models.PositiveIntegerField(
        default=1, help_text="The job's attempt; a row of an earlier one is out of date."
    )
    helpers = models.SmallIntegerField(help_text="How many processes may help the first one.")
    repeats = models.BooleanField(help_text="Whether a device may be begun again when its process is lost.")
    all_or_none = models.BooleanField(help_text="Whether a step waits until all devices have finished the one before.")
    allowed = models.SmallIntegerField(default=1, help_text="How many steps may begin, as decided so far.")
    allowed_at = models.DateTimeField(null=True, blank=True, help_text="When the last of these was allowed.")
    refused = models.TextField(null=True, blank=True, help_text="Why no further step may begin. It is decided once.")
    end = models.TextField(null=True, blank=True, help_text="How the run ends; the last participant writes it down.")
    orphan = models.TextField(
        null=True, blank=True, help_text="No participant is left: how the run ends if nobody joins."
    )
    progress_at = models.DateTimeField(null=True, blank=True, help_text="When finished_devices was written last.")
    fingerprint = models.CharField(max_length=64, help_text="Of what all participants must have in common.")

    def __str__(self) -> str:
        return f"fleet of job {self.pk}"
