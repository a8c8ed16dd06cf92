"""The table of counts that only grow. Import it from ``jobs.models``."""

from django.db import models
from django.db.models import Q


class MetricCount(models.Model):
    """One counter, one histogram or one time, with its labels."""

    name = models.CharField(max_length=64)
    labels = models.CharField(max_length=500, help_text="JSON list of the labels' values.")
    value = models.FloatField(default=0.0, help_text="A count, a sum of seconds, or a time.")
    buckets = models.TextField(default="[]", help_text="For a histogram: JSON list, how many values each bucket has.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="metric_once")]

    def __str__(self) -> str:
        return f"{self.name}{self.labels}"


class MetricMark(models.Model):
    """Up to which change of the feed the ends of jobs were counted. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    feed = models.CharField(max_length=32, blank=True, help_text="The feed in which upto is a position.")
    upto = models.BigIntegerField(default=0)
    since = models.DateTimeField(
        help_text="Jobs that ended before this are not counted: their positions may be of another feed."
    )

    class Meta:
        constraints = [models.CheckConstraint(name="metric_mark_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"up to {self.upto}"
