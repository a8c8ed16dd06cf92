"""The process that updates the stored counters may be frozen: a scrape and live events do not wait for it."""

import threading

import pytest
from django.db import connections, transaction

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.metric_models import MetricMark
from jobs.metrics import counted_here
from jobs.metrics.fold import fold
from tests.metrics.folding import metrics
from tests.services import PostgreSQL


@pytest.mark.needs("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_scrape_does_not_wait_for_one_that_folds(postgresql: PostgreSQL) -> None:
    counted_here.taken()
    fold()
    held, over = threading.Event(), threading.Event()

    def holds() -> None:
        try:
            with transaction.atomic():
                MetricMark.objects.select_for_update().get()
                held.set()
                over.wait(30)
        finally:
            connections.close_all()

    other = threading.Thread(target=holds)
    other.start()
    try:
        assert held.wait(30)
        record(JobAction.PUBLISH_FAILED, messages=3, error="away")
        assert metrics()["publish_failures_total",] == 0
        assert other.is_alive()
    finally:
        over.set()
        other.join()
    assert metrics()["publish_failures_total",] == 3
