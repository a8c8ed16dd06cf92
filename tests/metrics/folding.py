"""Counts the jobs that have ended, to the last one: counting stays behind open transactions, also of other tests."""

from django.db.models import Max
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from jobs.dispatch import scheduling
from jobs.lifecycle import transitions
from jobs.metric_models import MetricMark
from jobs.metrics import counted_here
from jobs.metrics.fold import fold
from jobs.models import Job
from jobs.outcome import Outcome
from tests import fake_jobs
from tests.factory import claimed
from tests.waiting import wait_until


def begin() -> None:
    """Counting has begun, and nothing was seen before."""
    counted_here.taken()
    fold()


def fold_all() -> None:
    newest = Job.objects.aggregate(newest=Max("change"))["newest"] or 0

    def counted() -> bool:
        fold()
        return MetricMark.objects.get().upto >= newest

    wait_until(counted, timeout=60, interval=0.05)


def metrics() -> dict[tuple[str, ...], float]:
    """By name and labels."""
    answer = Client(headers={"Host": "localhost"}).get("/metrics")
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name.removeprefix("cnaasjobs_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def finished(task: object = fake_jobs.nothing) -> Job:
    job = scheduling.schedule(task, {})  # type: ignore[arg-type]
    assert transitions.finish(claimed(job), Outcome(result=None))
    return job
