"""Counting what has ended, to the end: it stays behind open transactions, those of other tests on the server too."""

from django.db.models import Max

from jobs.metric_models import MetricMark
from jobs.metrics.fold import fold
from jobs.models import Job
from tests.waiting import wait_until


def fold_all() -> None:
    newest = Job.objects.aggregate(newest=Max("change"))["newest"] or 0

    def counted() -> bool:
        fold()
        return MetricMark.objects.get().upto >= newest

    wait_until(counted, timeout=60, interval=0.05)
