"""The table of locks: one row for each name ever used. A lock is held while its ``holder_id`` is set."""

from django.db import models
from django.db.models import Q

from cnaasjobs.db.changes import ChangeField


class Lock(models.Model):
    """A named lock. The row stays when it is free, because its fencing token must never go back."""

    name = models.CharField(max_length=32, unique=True)
    holder_id = models.BigIntegerField(null=True, blank=True)
    start_time = models.DateTimeField(null=True, blank=True, help_text="When its holder acquired it.")
    fence = models.BigIntegerField(default=0, help_text="Fencing token: grows by one with each acquisition.")
    # No index: the rows are few, and without one their updates stay within their page.
    change = ChangeField(help_text="Position of its last change in the change feed. The database writes it.")

    class Meta:
        permissions = [("clear_lock", "Can clear a lock")]
        constraints = [
            models.CheckConstraint(
                name="lock_start_time_iff_held",
                condition=Q(holder_id__isnull=True, start_time__isnull=True)
                | Q(holder_id__isnull=False, start_time__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name
