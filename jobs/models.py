"""The platform's tables. Only ``jobs.lifecycle.transitions`` writes a job's status: see ``jobs.guarded_status``."""

from datetime import datetime

from django.conf import settings as django_settings
from django.db import models
from django.db.models import F, Q

from cnaasjobs.db.changes import ChangeField
from jobs.approval_models import JobApproval, JobBehind, TokenMaker
from jobs.deeds import Deed
from jobs.device_models import Fleet, JobDevice, Participant
from jobs.guarded_status import GuardedStatus
from jobs.history_models import JobLink, JobLog, JobMilestone
from jobs.metric_models import MetricCount, MetricMark
from jobs.rights_models import GroupScope, Role
from jobs.states import Status

__all__ = [
    "AuditEntry",
    "AuditSeal",
    "Fleet",
    "GroupScope",
    "Heartbeat",
    "IdempotencyKey",
    "Job",
    "JobApproval",
    "JobBehind",
    "JobBlock",
    "JobDevice",
    "JobLink",
    "JobLog",
    "JobMilestone",
    "JobOutcome",
    "MetricCount",
    "MetricMark",
    "Participant",
    "Role",
    "ScheduleOwner",
    "TokenMaker",
    "Watermark",
]


def _status(*states: Status) -> Q:
    return Q(status__in=[state.value for state in states])


class Job(GuardedStatus):
    """One job. The columns from ``status`` to ``start_arguments`` are what the API shows; the rest is how it is run."""

    status = models.CharField(
        max_length=9, choices=[(s.value, s.value) for s in Status], default=Status.SCHEDULED.value
    )
    scheduled_time = models.DateTimeField(help_text="When it is due, in UTC. After a retry, when it is due again.")
    start_time = models.DateTimeField(null=True, blank=True)
    finish_time = models.DateTimeField(null=True, blank=True)
    function_name = models.CharField(max_length=128, help_text='For people; that of a dry run ends in " (dry_run)".')
    scheduled_by = models.CharField(max_length=255, null=True, blank=True)
    comment = models.CharField(max_length=255, null=True, blank=True)
    ticket_ref = models.CharField(max_length=32, null=True, blank=True)
    next_job_id = models.BigIntegerField(null=True, blank=True)
    finished_devices = models.TextField(null=True, blank=True, help_text="JSON list of names; null until it starts.")
    change_score = models.SmallIntegerField(null=True, blank=True)
    start_arguments = models.TextField(default="{}", help_text="JSON object: the keyword arguments of the body.")

    task_name = models.CharField(max_length=255, help_text="The name of the Celery task that runs it.")
    exception_type = models.CharField(max_length=64, null=True, blank=True)
    queue = models.CharField(max_length=64)
    priority = models.SmallIntegerField(default=0, help_text="0 to 9; 9 goes first in its queue, not in a lock's line.")
    dispatched_at = models.DateTimeField(
        null=True, blank=True, help_text="When its message was sent, or is about to be. Null: Beat sends it when due."
    )
    lock_name = models.CharField(max_length=32, null=True, blank=True)
    lock_wait_seconds = models.PositiveIntegerField(null=True, blank=True)
    parked = models.BooleanField(default=False, help_text="In line for its lock, or waiting for approval. No message.")
    waiting_since = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0, help_text="How often its body was started.")
    retries = models.PositiveIntegerField(default=0, help_text="How often its body asked for a retry.")
    rerun_if_lost = models.BooleanField(default=False)
    run_token = models.UUIDField(null=True, blank=True, help_text="Identifies the run; null unless RUNNING.")
    fence = models.BigIntegerField(null=True, blank=True, help_text="The fencing token of its lock while it holds one.")
    worker_id = models.BigIntegerField(null=True, blank=True)
    worker = models.CharField(max_length=255, null=True, blank=True)
    abort_reason = models.TextField(null=True, blank=True, help_text="Why it was asked to stop; null if it was not.")
    # No foreign key: the user may be deleted, and a job has to be inserted quickly.
    author_id = models.BigIntegerField(null=True, blank=True, help_text="The user with whose rights it was started.")
    # Null for all others: in a table of millions of rows it costs nothing.
    unapproved = models.BooleanField(null=True, blank=True, help_text="True: it waits for approval, and is parked.")
    change = ChangeField(help_text="Position of its last change in the change feed. The database writes it.")

    class Meta:
        ordering = ["id"]
        permissions = [("abort_job", "Can abort a job"), ("approve_job", "Can approve a job of somebody else")]
        constraints = [
            models.CheckConstraint(
                name="job_finish_time_iff_terminal",
                condition=(_status(Status.FINISHED, Status.EXCEPTION) & Q(finish_time__isnull=False))
                | (_status(Status.SCHEDULED, Status.RUNNING) & Q(finish_time__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_run_token_iff_running",
                condition=(_status(Status.RUNNING) & Q(run_token__isnull=False, start_time__isnull=False))
                | (~_status(Status.RUNNING) & Q(run_token__isnull=True, fence__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_exception_type_iff_exception",
                condition=(_status(Status.EXCEPTION) & Q(exception_type__isnull=False))
                | (~_status(Status.EXCEPTION) & Q(exception_type__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_parked_only_scheduled",
                condition=Q(parked=False) | (_status(Status.SCHEDULED) & Q(lock_name__isnull=False)),
            ),
            models.CheckConstraint(
                name="job_change_score_range",
                condition=Q(change_score__isnull=True) | Q(change_score__gte=0, change_score__lte=100),
            ),
            # In the database, because processes from before approvals don't look at the column, and would start it.
            models.CheckConstraint(
                name="job_unapproved_only_parked",
                condition=Q(unapproved__isnull=True) | (_status(Status.SCHEDULED) & Q(parked=True)),
            ),
        ]
        indexes = [
            models.Index(
                "scheduled_time",
                "id",
                name="job_due",
                condition=Q(status="SCHEDULED", dispatched_at__isnull=True, parked=False),
            ),
            models.Index(
                "queue",
                "dispatched_at",
                name="job_sent",
                condition=Q(status="SCHEDULED", dispatched_at__isnull=False),
            ),
            models.Index(
                "lock_name",
                "scheduled_time",
                "id",
                name="job_line",
                condition=Q(status="SCHEDULED", lock_name__isnull=False),
            ),
            models.Index("id", name="job_running", condition=Q(status="RUNNING")),
            models.Index("id", name="job_exception", condition=Q(status="EXCEPTION")),
            models.Index(F("finish_time"), name="job_finish_time"),
            models.Index(F("change"), name="job_change"),
            models.Index("next_job_id", name="job_next", condition=Q(next_job_id__isnull=False)),
            # For searches. A job without these pays nothing for them.
            *(
                models.Index(column, "id", name=f"job_by_{column}", condition=Q(**{f"{column}__isnull": False}))
                for column in ("scheduled_by", "ticket_ref", "lock_name")
            ),
            models.Index("change_score", "id", name="job_by_change_score", condition=Q(change_score__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.function_name} #{self.pk}"

    @property
    def when(self) -> datetime:
        """The time to show where there is room for one: when it started, else when it ended, else when it is due."""
        return self.start_time or self.finish_time or self.scheduled_time


class JobOutcome(models.Model):
    """What a job left behind, as JSON text that goes into answers as it is stored.

    In a table of its own, so that it is read only for the jobs that a page shows.
    """

    job = models.OneToOneField(Job, primary_key=True, on_delete=models.CASCADE, related_name="outcome")
    result = models.TextField(null=True, blank=True)
    exception = models.TextField(null=True, blank=True, help_text='{"message", "type", "args", "traceback"}')
    devices_bytes = models.BigIntegerField(
        null=True, blank=True, help_text="The size of the result if it is made from the device rows; otherwise null."
    )

    def __str__(self) -> str:
        return f"outcome of job {self.pk}"


class Heartbeat(models.Model):
    """One worker or Beat process, alive as long as its counter grows. One row per start of a process."""

    kind = models.CharField(max_length=6, choices=[("worker", "worker"), ("beat", "Beat")])
    name = models.CharField(max_length=255)
    pid = models.IntegerField()
    counter = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    last_seen = models.DateTimeField(help_text="The database's time of the last heartbeat, for people.")
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="When it stopped in order, or was judged lost.")
    queues = models.TextField(default="[]", help_text="JSON list of the queues it takes messages from.")
    concurrency = models.IntegerField(default=0)
    run_tokens = models.TextField(default="[]", help_text="JSON list of the tokens of the runs in progress.")

    class Meta:
        verbose_name = "worker or Beat"
        verbose_name_plural = "workers and Beats"
        indexes = [models.Index(F("kind"), name="heartbeat_live", condition=Q(stopped_at__isnull=True))]

    def __str__(self) -> str:
        return self.name


class AuditEntry(models.Model):
    """Who did what. Names are kept as text: a user may be deleted. Entries are added, never changed, never deleted."""

    time = models.DateTimeField()
    who = models.CharField(max_length=255)
    origin = models.CharField(max_length=64, help_text='The peer\'s address, "command line", "worker" or "Beat".')
    action = models.CharField(max_length=16, choices=[(deed.value, deed.value) for deed in Deed])
    job_id = models.BigIntegerField(null=True, blank=True)
    lock_name = models.CharField(max_length=32, null=True, blank=True)
    detail = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.who} {self.action} {self.job_id or self.lock_name}"


class AuditSeal(models.Model):
    """A link of the chain over the audit trail: all entries with ids from ``first`` to ``last``, as they were then.

    ``digest`` is a keyed hash of them and of the link before. See ``jobs.audit.seal``.
    """

    first = models.BigIntegerField()
    last = models.BigIntegerField(unique=True)
    entries = models.IntegerField()
    digest = models.CharField(max_length=64)
    time = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"entries {self.first} to {self.last}"


class ScheduleOwner(models.Model):
    """The owner of a recurring schedule: the user who saved it last, whose permissions are checked at each fire."""

    schedule = models.OneToOneField(
        "django_celery_beat.PeriodicTask", primary_key=True, on_delete=models.CASCADE, related_name="ownership"
    )
    user = models.ForeignKey(django_settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=150, help_text="The user's name, as text: the user may be deleted.")

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """The first answer to a POST that carried an ``Idempotency-Key``; answers its repetitions for 24 hours."""

    user = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    created = models.DateTimeField()
    response = models.TextField(help_text="JSON: status, headers and body of the first answer.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_once_per_user")]

    def __str__(self) -> str:
        return f"{self.user} {self.key}"


class JobBlock(models.Model):
    """How many jobs there are among ``BLOCK`` successive ids below the watermark. See ``sql.totals``."""

    BLOCK = 5000

    id = models.BigIntegerField(primary_key=True, help_text="Its jobs have the ids from this number × BLOCK on.")
    jobs = models.IntegerField()

    def __str__(self) -> str:
        return f"block {self.pk}: {self.jobs} jobs"


class Watermark(models.Model):
    """Below this id no job can appear any more: every transaction that might still insert one has ended. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    below = models.BigIntegerField(default=0)
    candidate = models.BigIntegerField(
        default=0, help_text="The next watermark, once all transactions that were open when it was noted have ended."
    )
    candidate_xid = models.BigIntegerField(null=True, help_text="PostgreSQL: the transaction that noted the candidate.")

    class Meta:
        constraints = [models.CheckConstraint(name="watermark_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"below {self.below}"
